//! Every `.h5` file of Keras 3 and of Keras 2 gives what that Keras computes from it.
//!
//! `SEQFUSE_CASES=lstm,keras2/masks/` runs the cases whose `part/family/name` contains one of these.

mod common;

use std::collections::BTreeMap;
use std::io::Cursor;

use common::broken::{Members, members};
use common::cases::{all, fixtures, object, options as reading};
use common::check::{Arrays, chain, check_model, text, wanted};
use common::npz;
use seqfuse::{Format, Model, Options, ReadOptions};
use serde_json::Value;

/// The members of each family's archive of one part, by family.
fn archives(part: &str) -> BTreeMap<String, Members> {
    let folder = fixtures().join("h5").join(part);
    let entries = std::fs::read_dir(&folder).expect("the fixtures are there");
    let paths = entries.map(|entry| entry.expect("can be listed").path());
    let zips = paths.filter(|path| path.extension().is_some_and(|extension| extension == "zip"));
    let family =
        |path: &std::path::Path| path.file_stem().expect("a name").to_string_lossy().into_owned();
    zips.map(|path| (family(&path), members(&path))).collect()
}

fn member<'a>(members: &'a Members, name: &str) -> Option<&'a [u8]> {
    let found = members.iter().find(|(member, _)| member == name);
    found.map(|(_, bytes)| bytes.as_slice())
}

fn check(bytes: &[u8], read: &ReadOptions, arrays: &Arrays, case: &Value) -> Result<(), String> {
    let model = Model::from_bytes_with(bytes, Format::Hdf5, read).map_err(|error| chain(&error))?;
    check_model(&model, arrays, case, &Options::new().threads(1))
}

/// Runs the cases that are asked for, and lists what fails.
fn report(results: impl Iterator<Item = (String, Result<(), String>)>) {
    let results: Vec<_> = results.collect();
    let failed: Vec<String> = results
        .iter()
        .filter_map(|(name, result)| Some(format!("{name}: {}", result.as_ref().err()?)))
        .collect();
    assert!(failed.is_empty(), "{} of {}:\n{}", failed.len(), results.len(), failed.join("\n"));
    assert!(
        !results.is_empty() || std::env::var("SEQFUSE_CASES").is_ok(),
        "there are no cases at all"
    );
}

#[test]
fn every_h5_file_of_keras_3_gives_what_its_keras_file_gives() {
    let archives = archives("keras3");
    let cases = all();
    report(cases.iter().filter_map(|case| {
        let (family, name) = (text(case, "family"), text(case, "name"));
        let label = format!("keras3/{family}/{name}");
        let bytes = member(archives.get(family)?, &format!("{name}.h5"))?;
        wanted(&label).then(|| {
            let arrays = npz::read(&fixtures().join(family).join(format!("{name}.npz")));
            (label, check(bytes, &ReadOptions::default(), &arrays, case))
        })
    }));
}

#[test]
fn every_h5_file_of_keras_2_gives_what_keras_2_gives() {
    let archives = archives("keras2");
    let index = object("h5/keras2/index.json");
    report(index.iter().filter(|(label, _)| wanted(&format!("keras2/{label}"))).map(
        |(label, case)| {
            let (family, name) = label.split_once('/').expect("family and name");
            let members = &archives[family];
            let bytes = member(members, &format!("{name}.h5")).expect("the file is there");
            let arrays = member(members, &format!("{name}.npz")).expect("the arrays are there");
            let arrays = npz::read_from(Cursor::new(arrays));
            let architecture = member(members, &format!("{name}.json")).map(<[u8]>::to_vec);
            let options = ReadOptions { architecture, ..reading() };
            (format!("keras2/{label}"), check(bytes, &options, &arrays, case))
        },
    ));
}

/// A Keras 3 that was given such a file would compute something else, and say nothing.
#[test]
fn rules_of_keras_2_are_kept_from_files_of_keras_3_by_name() {
    let archives = archives("keras2");
    let index = object("h5/keras2/index.json");
    for (family, name, written) in [
        ("extra", "unit_normalization", Err("UnitNormalization as Keras 2")),
        ("extra", "hard_sigmoid", Err("hard_sigmoid as Keras 2")),
        ("extra", "merged_masks", Err("masks as Keras 2")),
        ("extra", "masks_dropped", Err("masks as Keras 2")),
        ("extra", "attention_masks", Err("masks as Keras 2")),
        ("extra", "time_distributed_words", Err("masks as Keras 2")),
        ("custom", "masks_taken_off", Err("masks as Keras 2")),
        // What wraps layers that hand their mask on does so in both.
        ("time_distributed", "mask_passes", Ok(())),
        ("merge", "add_layer", Ok(())),
    ] {
        let bytes = |extension| member(&archives[family], &format!("{name}.{extension}"));
        let file = bytes("h5").expect("the file is there");
        let model = Model::from_bytes_with(file, Format::Hdf5, &reading()).expect("opens");
        for format in [Format::Keras, Format::Hdf5] {
            match (model.to_bytes(format), written) {
                (Ok(_), Ok(())) => {}
                (Err(error), Err(word)) => {
                    let line = chain(&error);
                    assert!(line.contains(word), "{family}/{name}: {line}");
                }
                (Ok(_), Err(word)) => panic!("{family}/{name} is written in spite of {word}"),
                (Err(error), Ok(())) => panic!("{family}/{name}: {}", chain(&error)),
            }
        }
        let kept = model.to_bytes(Format::Safetensors).expect("is written").bytes;
        let kept = Model::from_bytes_with(&kept, Format::Safetensors, &reading()).expect("opens");
        let arrays = npz::read_from(Cursor::new(bytes("npz").expect("the arrays are there")));
        let case = &index[&format!("{family}/{name}")];
        let checked = check_model(&kept, &arrays, case, &Options::new().threads(1));
        checked.unwrap_or_else(|problem| panic!("{family}/{name}: {problem}"));
    }
}

/// Keras 2 orders the state of an optimizer otherwise than Keras 3, which would take it for its own.
#[test]
fn the_optimizer_state_of_keras_2_is_kept_from_files_of_keras_3_with_a_note() {
    let archives = archives("keras2");
    let bytes = member(&archives["topology"], "compiled_adam.h5").expect("the file is there");
    let model = Model::from_bytes(bytes, Format::Hdf5).expect("opens");
    let state = |model: &Model| model.document().expect("it was read").optimizer.clone();
    let kept = model.to_bytes(Format::Safetensors).expect("is written");
    let kept = Model::from_bytes(&kept.bytes, Format::Safetensors).expect("opens");
    assert_eq!(state(&kept), state(&model));
    for format in [Format::Keras, Format::Hdf5] {
        for model in [&model, &kept] {
            let written = model.to_bytes(format).expect("is written");
            let again = Model::from_bytes(&written.bytes, format).expect("opens");
            assert!(state(&again).is_empty());
            let noted = written.left_out.iter().any(|note| note.contains("optimizer"));
            assert_eq!(noted, !state(model).is_empty(), "{:?}", written.left_out);
        }
    }
}
