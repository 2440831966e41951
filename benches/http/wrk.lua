-- What has been measured, as JSON, for wrk.py to read.
function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '{"seconds": %f, "requests": %d, "p50": %f, "p99": %f, ' ..
      '"errors": {"connect": %d, "read": %d, "write": %d, "status": %d, "timeout": %d}}\n',
      summary.duration / 1e6, summary.requests, latency:percentile(50) / 1e6,
      latency:percentile(99) / 1e6,
      errors.connect, errors.read, errors.write, errors.status, errors.timeout))
end
