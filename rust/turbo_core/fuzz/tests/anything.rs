//! No bytes at all make a parser panic, overflow, or break a promise that `read()` checks.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::RngSeed;
use turbo_core_fuzz::read;

/// What libFuzzer has found worth keeping, and values of each type as a server sends them.
fn corpus() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus/wire");
    let entries = directory.read_dir().expect("the corpus is a directory");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("readable").path())
        .collect();
    paths.sort();
    let wires = paths.into_iter().map(std::fs::read);
    wires.collect::<Result<_, _>>().expect("readable")
}

/// The same cases in every run: libFuzzer is what looks for others.
fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_000_101),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// One change to a value: of a byte, of its length, or of a number in it.
#[derive(Clone, Debug)]
enum Change {
    Cut(Index),
    Flip(Index, u8),
    Insert(Index, u8),
    Remove(Index),
    Number(Index, i32),
    Repeat(Index),
}

fn change() -> impl Strategy<Value = Change> {
    let odd = prop_oneof![
        select(b"\0\x01\x7f\x80\xff{}[]()\",\\:+-.= 0N".as_slice()),
        any::<u8>()
    ];
    let number = prop_oneof![
        select([-1, 0, 1, 6, 7, i32::MIN, i32::MAX, i32::MAX - 3].as_slice()),
        any::<i32>()
    ];
    prop_oneof![
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), odd.clone()).prop_map(|(at, byte)| Change::Flip(at, byte)),
        (any::<Index>(), odd).prop_map(|(at, byte)| Change::Insert(at, byte)),
        any::<Index>().prop_map(Change::Remove),
        (any::<Index>(), number).prop_map(|(at, number)| Change::Number(at, number)),
        any::<Index>().prop_map(Change::Repeat),
    ]
}

fn changed(mut wire: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        let length = wire.len();
        match change {
            Change::Insert(at, byte) => wire.insert(at.index(length + 1), *byte),
            _ if length == 0 => {}
            Change::Cut(at) => wire.truncate(at.index(length)),
            Change::Flip(at, byte) => wire[at.index(length)] = *byte,
            Change::Remove(at) => drop(wire.remove(at.index(length))),
            Change::Number(at, number) => {
                let from = at.index(length);
                let to = length.min(from + 4);
                wire[from..to].copy_from_slice(&number.to_be_bytes()[..to - from]);
            }
            Change::Repeat(at) => wire.extend_from_within(at.index(length)..),
        }
    }
    wire
}

#[test]
fn what_was_found_before_is_read() {
    let corpus = corpus();
    assert!(corpus.len() > 100);
    corpus.iter().for_each(|wire| read(wire));
}

#[test]
fn every_beginning_of_it_is_read() {
    for wire in corpus() {
        (0..wire.len()).for_each(|length| read(&wire[..length]));
    }
}

proptest! {
    #![proptest_config(cases(100_000))]

    #[test]
    fn changes_to_it_are_read(
        wire in select(corpus()),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        read(&changed(wire, &changes));
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    #[test]
    fn any_bytes_are_read(wire: Vec<u8>) {
        read(&wire);
    }

    #[test]
    fn any_text_of_what_values_are_made_of_is_read(
        wire in r#"[-+0-9:. ]{0,40}|[{}\[\](),;"\\=>aN ]{0,40}|[0-9]{4}-[0-9]{2}-[0-9]{2}[ 0-9:.+-]{0,24}|(-?[0-9]{1,10} (year|mons|days) ){0,3}[-+0-9:.]{0,20}"#
    ) {
        read(wire.as_bytes());
    }
}
