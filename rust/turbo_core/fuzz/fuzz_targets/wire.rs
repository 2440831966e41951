//! libFuzzer on all parsers at once: what is a valid value of one type is a start for another.

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|wire: &[u8]| turbo_core_fuzz::read(wire));

#[cfg(not(fuzzing))]
fn main() {
    eprintln!("This is for cargo-fuzz: make fuzz");
}
