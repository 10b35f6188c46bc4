//! Bad input: one line that says what is wrong, exit 1 or 2, no panic and no half-written file.

#![cfg(feature = "cli")]

mod common;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use common::broken::{bomb, dense, dense_weights, edited, keras, members, no_weights, npy, zipped};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with the files of one test.
struct Folder(TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder for the test"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        std::fs::write(self.path(name), bytes).expect("the file is written");
        name.to_owned()
    }

    fn seqfuse(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seqfuse"));
        command.current_dir(self.0.path()).args(arguments);
        command.output().expect("the command starts")
    }

    /// Runs a command that must fail with an error that holds all of `words`, and nothing else on
    /// either stream.
    fn refused(&self, arguments: &[&str], words: &[&str]) -> String {
        let output = self.seqfuse(arguments);
        let text = String::from_utf8(output.stderr).expect("standard error is UTF-8");
        let shown = format!("{arguments:?} exits with {}: {text}", output.status);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{shown}");
        assert!(output.stdout.is_empty(), "{shown}");
        assert!(!text.contains("panicked"), "{shown}");
        // What a description is said to lack comes first.
        let mut lines = text.lines().skip_while(|line| line.starts_with("note: "));
        let first = lines.next().unwrap_or_default();
        assert!(first.starts_with("error: "), "{shown}");
        for word in words {
            assert!(first.contains(word), "the first line should hold `{word}`: {shown}");
        }
        // Below it stand causes, or clap's advice on usage.
        let usage = output.status.code() == Some(2);
        assert!(usage || lines.all(|line| line.starts_with("  caused by: ")), "{shown}");
        text
    }

    /// A model file of the given bytes must be refused, whatever the command.
    fn model_refused(&self, bytes: impl AsRef<[u8]>, words: &[&str]) {
        let model = self.write("model.keras", bytes);
        let words: Vec<&str> = words.iter().copied().chain(["model.keras"]).collect();
        self.refused(&["inspect", &model], &words);
        self.refused(&["verify", &model, "--against", "reference"], &words);
    }

    /// The names of all files, hidden ones too.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("the folder is there");
        let name = |entry: std::io::Result<std::fs::DirEntry>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The sample model's file.
fn sample() -> Vec<u8> {
    std::fs::read(repository("models/sentiment.keras")).expect("the sample is there")
}

/// A copy of the sample in which `edit` has changed the bytes of one member.
fn sample_with(member: &str, edit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut members = members(&repository("models/sentiment.keras"));
    let (_, bytes) = members.iter_mut().find(|(name, _)| name == member).expect("a member");
    edit(bytes);
    zipped(&members)
}

/// The weights of `common::broken::dense`, as they should be.
fn good_weights() -> Vec<u8> {
    dense_weights(&[("0", &[4, 3]), ("1", &[3])])
}

/// A description of a model from token ids `ids` below 5, of any length.
const IDS: &str = r#"{"class_name": "Sequential", "config": {"layers": [
    {"class_name": "InputLayer",
     "config": {"name": "ids", "batch_shape": [null, null], "dtype": "int32"}},
    {"class_name": "Embedding", "config": {"input_dim": 5, "output_dim": 3, "name": "table"}},
    {"class_name": "LSTM", "config": {"units": 2}}]}}"#;

#[test]
fn the_whole_files_that_these_tests_break_are_accepted() {
    let folder = Folder::new();
    for bytes in [edited(|_| ()), sample_with("config.json", |_| ())] {
        let model = folder.write("model.keras", bytes);
        assert_eq!(folder.seqfuse(&["inspect", &model]).status.code(), Some(0));
    }
    let (model, rows) = (folder.write("ids.json", IDS), folder.write("ids.jsonl", "[1, 4]\n"));
    let output = folder.seqfuse(&["run", &model, "--input", &rows]);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn files_that_are_no_archive_or_a_piece_of_one_are_refused() {
    let folder = Folder::new();
    let whole = sample();
    for part in [1, 3, 40, 99] {
        folder.model_refused(&whole[..whole.len() * part / 100], &["truncated"]);
    }
    folder.model_refused("", &["empty"]);
    folder.model_refused("model", &["no zip archive"]);
    folder.model_refused(zipped(&[]), &["metadata.json", "missing"]);
    folder.model_refused(good_weights(), &["HDF5"]);
    folder.refused(&["inspect", "absent.keras"], &["absent.keras"]);
    std::fs::create_dir(folder.path("folder.keras")).expect("the folder is made");
    folder.refused(&["run", "folder.keras", "--text", "a"], &["folder.keras"]);
}

#[test]
fn weights_that_are_no_whole_hdf5_file_are_refused() {
    let folder = Folder::new();
    let config = dense().to_string();
    let whole = good_weights();
    for cut in [0, 1, 7, 8, 64, whole.len() / 2] {
        folder.model_refused(keras(&config, whole[..cut].to_vec()), &["HDF5"]);
    }
    for divisor in [2, 3, 50] {
        let cut = |bytes: &mut Vec<u8>| bytes.truncate(bytes.len() / divisor);
        folder.model_refused(sample_with("model.weights.h5", cut), &["HDF5"]);
    }
    folder.model_refused(keras(&config, b"no such thing".to_vec()), &["HDF5"]);
    let empty = keras(&config, no_weights());
    folder.model_refused(empty, &["head", "layers/dense/vars/0", "missing"]);
}

#[test]
fn missing_surplus_and_misshapen_weights_are_named() {
    let folder = Folder::new();
    let config = dense().to_string();
    let with = |datasets: &[(&str, &[u64])]| keras(&config, dense_weights(datasets));
    folder.model_refused(with(&[("0", &[4, 3])]), &["head", "layers/dense/vars/1", "missing"]);
    let surplus = with(&[("0", &[4, 3]), ("1", &[3]), ("2", &[1])]);
    folder.model_refused(surplus, &["layers/dense/vars/2", "belongs to no layer"]);
    for wrong in [&[3, 4][..], &[4, 3, 1], &[12], &[4, 2]] {
        let shape = format!("{wrong:?}");
        let bytes = with(&[("0", wrong), ("1", &[3])]);
        folder.model_refused(bytes, &["head", "layers/dense/vars/0", &shape, "[4, 3]"]);
    }
}

#[test]
fn an_archive_that_would_unpack_to_gigabytes_is_refused_unread() {
    let folder = Folder::new();
    // Zeros, and a pattern that deflate packs less well.
    let pattern: Vec<u8> = (0..997u32).map(|i| (i * i * 31 % 251) as u8).collect();
    for (pattern, size) in [(&[0u8; 64][..], 2 << 30), (&pattern, 256 << 20)] {
        let bytes = bomb("model.weights.h5", pattern, size);
        assert!(bytes.len() < size / 64, "{} bytes are no bomb", bytes.len());
        folder.model_refused(bytes, &["model.weights.h5", "limit"]);
    }
    let arrays = folder.write("x.npz", bomb("x.npy", &[0; 64], 1 << 30));
    let model = folder.write("good.keras", edited(|_| ()));
    folder.refused(&["run", &model, "--input", &arrays], &["x.npz"]);
}

#[test]
fn sizes_that_no_file_can_hold_are_refused() {
    let folder = Folder::new();
    for units in [1u64 << 50, u64::MAX] {
        let bytes = edited(|layer| layer["config"]["units"] = json!(units));
        folder.model_refused(bytes, &["head", "units", &units.to_string()]);
    }
    let bytes = edited(|layer| layer["config"]["units"] = json!(1u64 << 33));
    folder.model_refused(bytes, &["head", "layers/dense/vars/0"]);
    let mut deep = r#"{"class_name": "Sequential", "config": "#.repeat(100_000);
    folder.model_refused(keras(&deep, good_weights()), &["config.json"]);
    deep.insert(0, ' ');
    let model = folder.write("deep.json", deep);
    folder.refused(&["inspect", &model], &["deep.json"]);
    for (layer, option) in [("Embedding", "input_dim"), ("Embedding", "output_dim")] {
        let mut config = json!({"input_dim": 8, "output_dim": 8, "name": "table"});
        config[option] = json!(1u64 << 40);
        let model = json!({"class_name": "Sequential", "config": {"layers": [
            {"class_name": layer, "config": config}]}});
        let model = folder.write("huge.json", model.to_string());
        folder.refused(&["inspect", &model], &["huge.json", "table"]);
    }
}

#[test]
fn a_layer_or_option_that_is_not_honoured_is_named() {
    let folder = Folder::new();
    let refused = |edit: &dyn Fn(&mut Value), words: &[&str]| {
        folder.model_refused(edited(|layer| edit(layer)), &[words, &["head"]].concat());
    };
    refused(&|layer| layer["class_name"] = json!("Densse"), &["Densse"]);
    refused(&|layer| layer["registered_name"] = json!("mine>Dense"), &["mine>Dense"]);
    refused(&|layer| layer["class_name"] = json!("Lambda"), &["Lambda"]);
    refused(&|layer| layer["config"]["wings"] = json!(2), &["wings", "2"]);
    refused(&|layer| layer["config"]["units"] = json!("many"), &["units", "many"]);
    refused(&|layer| layer["config"]["units"] = json!(-3), &["units", "-3"]);
    refused(&|layer| layer["config"]["units"] = json!(0), &["units", "0"]);
    refused(&|layer| layer["config"]["use_bias"] = json!("yes"), &["use_bias", "yes"]);
    refused(&|layer| layer["config"]["activation"] = json!("zorp"), &["activation", "zorp"]);
    for policy in ["float64", "float8"] {
        let object = json!({"class_name": "DTypePolicy", "config": {"name": policy}});
        refused(&|layer| layer["config"]["dtype"] = json!(policy), &["dtype", policy]);
        refused(&|layer| layer["config"]["dtype"] = object.clone(), &["dtype", policy]);
    }
    let nan = dense().to_string().replace("\"units\":3", "\"units\":NaN");
    folder.model_refused(keras(&nan, good_weights()), &["head", "units", "NaN"]);
}

#[test]
fn a_configuration_that_is_no_model_is_refused() {
    let folder = Folder::new();
    for config in ["", "{", "[]", "null", "7", "{}", "\u{fffd}"] {
        folder.model_refused(keras(config, good_weights()), &[]);
    }
    let with = |edit: &dyn Fn(&mut Value)| {
        let mut config = dense();
        edit(&mut config);
        keras(&config.to_string(), good_weights())
    };
    folder.model_refused(with(&|c| c["config"] = Value::Null), &["layers"]);
    folder.model_refused(with(&|c| c["config"]["layers"] = json!([])), &["no layers"]);
    folder.model_refused(with(&|c| c["config"]["layers"][1] = Value::Null), &["layer 1"]);
    let name = |c: &mut Value| c["config"]["layers"][1]["config"]["name"] = json!("x");
    folder.model_refused(with(&name), &["'x'"]);
    let number = |c: &mut Value| c["config"]["layers"][1]["config"]["name"] = json!(3);
    folder.model_refused(with(&number), &["layer 1", "name", "3"]);
}

#[test]
fn token_ids_outside_the_vocabulary_are_refused() {
    let folder = Folder::new();
    let model = folder.write("ids.json", IDS);
    for id in [5i64, 1000, -1, -5, i64::from(i32::MIN)] {
        let rows = folder.write("ids.jsonl", format!("[0, 4, 1]\n[0, {id}, 1]\n"));
        let id = format!(" {id} ");
        folder.refused(&["run", &model, "--input", &rows, "--device", "cpu"], &["table", &id]);
    }
    let rows = folder.write("ids.jsonl", "[0, 1099511627776]\n");
    let words = ["ids.jsonl", "line 1", "`ids`", "1099511627776"];
    folder.refused(&["run", &model, "--input", &rows], &words);
}

#[test]
fn inputs_of_another_name_shape_or_type_are_refused() {
    let folder = Folder::new();
    let model = folder.write("ids.json", IDS);
    let refused = |file: &str, content: &str, words: &[&str]| {
        let file = folder.write(file, content);
        folder.refused(&["run", &model, "--input", &file], words);
    };
    refused("a.jsonl", "{\"tokens\": [1]}\n", &["a.jsonl", "line 1", "`tokens`", "`ids`"]);
    refused("a.jsonl", "{\"ids\": \"one\"}\n", &["a.jsonl", "line 1", "`ids`", "one"]);
    refused("a.jsonl", "[1, 2]\n[1]\n", &["a.jsonl", "line 2", "`ids`", "shape"]);
    refused("a.jsonl", "[[1], [1, 2]]\n", &["a.jsonl", "line 1", "ragged"]);
    refused("a.jsonl", "[1.5]\n", &["a.jsonl", "line 1", "1.5"]);
    refused("a.jsonl", "[1, 2\n", &["a.jsonl", "line 1", "JSON"]);
    refused("a.jsonl", &"[".repeat(100_000), &["a.jsonl", "line 1", "JSON"]);
    refused("a.jsonl", "", &["a.jsonl"]);
    refused("a.csv", "1,2\n3,four\n", &["a.csv", "line 2", "`ids`", "four"]);
    refused("a.csv", "1,2\n3\n", &["a.csv", "line 2"]);
    refused("a.csv", "", &["a.csv"]);
    refused("a.xls", "1", &["a.xls"]);
    folder.refused(&["run", &model, "--text", "a"], &["`ids`"]);
    folder.refused(&["run", &model, "--input", "absent.npz"], &["absent.npz"]);
}

#[test]
fn damaged_arrays_are_refused() {
    let folder = Folder::new();
    let model = folder.write("model.keras", edited(|_| ()));
    let refused = |bytes: &[u8], words: &[&str]| {
        let file = folder.write("x.npy", bytes);
        folder.refused(&["run", &model, "--input", &file], words);
        let file = folder.write("x.npz", zipped(&[("x.npy".to_owned(), bytes.to_vec())]));
        folder.refused(&["run", &model, "--input", &file], words);
    };
    let header = |descr: &str, shape: &str| {
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({shape}), }}\n")
    };
    refused(b"", &["x.np", "empty"]);
    refused(b"\x93NUMPY", &["x.np"]);
    refused(b"1,2,3,4\n", &["x.np"]);
    refused(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}", &["x.np", "truncated"]);
    refused(&npy("{}", &[]), &["x.np", "descr"]);
    refused(&npy(&header("<f4", "1, 4"), &[0; 15]), &["x.np", "15"]);
    refused(&npy(&header("<f4", "1, 4"), &[0; 17]), &["x.np", "17", "nothing behind"]);
    refused(&npy(&header("|O", "1, 4"), &[0; 40]), &["x.np", "pickled", "|O"]);
    refused(&npy(&header("<c8", "1, 4"), &[0; 32]), &["x.np", "complex"]);
    refused(&npy(&header("<f4", "99999999999, 99999999999"), &[]), &["x.np"]);
    refused(&npy(&header("<U0", "99999999999"), &[]), &["x.np"]);
    refused(&npy(&header("<f4", "1, 3"), &[0; 12]), &["`x`", "[1, 3]"]);
    refused(&npy(&header("<U1", "1, 4"), &[0; 16]), &["`x`", "string"]);
    let nothing = folder.write("none.npz", zipped(&[]));
    folder.refused(&["run", &model, "--input", &nothing], &["none.npz", "`x`"]);
    let other = npy(&header("<f4", "1, 4"), &[0; 16]);
    let two = [("x.npy".to_owned(), other.clone()), ("z.npy".to_owned(), other)];
    let two = folder.write("two.npz", zipped(&two));
    folder.refused(&["run", &model, "--input", &two], &["two.npz", "`z`"]);
    let cut = folder.write("cut.npz", &zipped(&[("x.npy".to_owned(), vec![0; 400])])[..60]);
    folder.refused(&["run", &model, "--input", &cut], &["cut.npz"]);
}

#[test]
fn files_that_are_not_utf_8_are_refused() {
    let folder = Folder::new();
    let sample = repository("models/sentiment.keras").to_string_lossy().into_owned();
    for name in ["bad.csv", "bad.jsonl"] {
        let file = folder.write(name, b"a good film\n\"\xff\xfe\"\n");
        folder.refused(&["run", &sample, "--input", &file], &[name, "UTF-8"]);
    }
    let file = folder.write("bad.txt", b"a\xff\n");
    folder.refused(&["run", &sample, "--text-file", &file], &["bad.txt", "UTF-8"]);
    folder.refused(&["run", &sample, "--text", "a", "--vocabulary", &file], &["bad.txt"]);
    folder.refused(&["run", &sample, "--text", "a", "--labels", &file], &["bad.txt"]);
}

#[test]
fn options_out_of_range_are_refused() {
    let folder = Folder::new();
    let model = folder.write("model.keras", edited(|_| ()));
    for (option, value) in [
        ("--threads", "0"),
        ("--threads", "many"),
        ("--batch-size", "0"),
        ("--batch-size", "1e3"),
        ("--device", "tpu"),
        ("--output", "result.txt"),
    ] {
        let words = [option, value];
        folder.refused(&["run", &model, "--input", "x.npz", option, value], &words);
    }
    let arrays = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (1, 4), }\n", &[0; 16]);
    let arrays = folder.write("x.npy", arrays);
    for names in ["nobody", "head,nobody"] {
        folder.refused(&["run", &model, "--input", &arrays, "--outputs", names], &["nobody"]);
    }
}

#[test]
fn a_failure_leaves_the_outputs_as_they_were() {
    let folder = Folder::new();
    let model = folder.write("ids.json", IDS);
    let rows = folder.write("ids.jsonl", "[1]\n".repeat(70) + "[9]\n");
    folder.write("old.json", "what was there");
    let before = folder.files();
    let run = |output: &str, words: &[&str]| {
        let arguments = ["run", &model, "--input", &rows, "--output", output];
        folder.refused(&arguments, words);
        assert_eq!(folder.files(), before, "{output}");
    };
    // The id in the last batch is met after others have run.
    run("new.json", &["table", " 9 "]);
    run("new.npz", &["table", " 9 "]);
    run("old.json", &["table", " 9 "]);
    run("no/new.json", &["no/new.json", "cannot be written"]);
    run("ids.json/new.json", &["ids.json/new.json", "cannot be written"]);
    let kept = std::fs::read_to_string(folder.path("old.json")).expect("the file is there");
    assert_eq!(kept, "what was there");
}

#[cfg(unix)]
#[test]
fn a_read_only_output_stays_as_it_was() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let model = folder.write("ids.json", IDS);
    let rows = folder.write("ids.jsonl", "[1]\n");
    let output = folder.write("old.json", "what was there");
    let read_only = std::fs::Permissions::from_mode(0o444);
    std::fs::set_permissions(folder.path(&output), read_only).expect("it is made read-only");
    let arguments = ["run", &model, "--input", &rows, "--output", &output];
    folder.refused(&arguments, &["old.json", "cannot be written"]);
    let kept = std::fs::read_to_string(folder.path(&output)).expect("the file is there");
    assert_eq!(kept, "what was there");
}

#[test]
fn a_quote_that_is_never_closed_is_refused() {
    let folder = Folder::new();
    let model = folder.write("model.keras", sample());
    for (rows, line) in [("a good film\n\"a bad one\nand more\n", "line 2"), ("\"", "line 1")] {
        let rows = folder.write("x.csv", rows);
        folder.refused(&["run", &model, "--input", &rows], &["x.csv", line, "quote"]);
    }
    let whole = folder.write("x.csv", "text\n\"a \"\"good\"\" film,\nyes\"\nit is 5\" long\n");
    let output = folder.seqfuse(&["run", &model, "--input", &whole]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn empty_lists_are_refused_under_the_name_of_their_file() {
    let folder = Folder::new();
    let model = folder.write("model.keras", sample());
    for tokens in ["", "\n[UNK]\n"] {
        let tokens = folder.write("tokens.txt", tokens);
        let arguments = ["run", &model, "--text", "a", "--vocabulary", &tokens];
        folder.refused(&arguments, &["tokens.txt"]);
    }
    let labels = folder.write("labels.txt", "");
    folder.refused(&["run", &model, "--text", "a", "--labels", &labels], &["labels.txt"]);
}

#[test]
fn a_layer_without_a_name_is_refused() {
    let folder = Folder::new();
    folder.model_refused(edited(|layer| layer["config"]["name"] = "".into()), &["name", "empty"]);
}

#[test]
fn lengths_that_no_row_has_are_refused() {
    let folder = Folder::new();
    for (option, value) in
        [("output_sequence_length", json!(1_000_000_000)), ("max_tokens", json!(1))]
    {
        let text = json!({"class_name": "TextVectorization", "config": {
            "name": "text", "vocabulary": ["a"], option: value}});
        let table = json!({"class_name": "Embedding", "config": {"input_dim": 4, "output_dim": 2}});
        let config = json!({"layers": [text, table]});
        let model = json!({"class_name": "Sequential", "config": config}).to_string();
        let model = folder.write("model.json", model);
        folder.refused(&["inspect", &model], &["model.json", "text", option]);
    }
}

/// A safetensors file of a header and data.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat()
}

/// The header of [`dense`] in safetensors, after `edit` has changed it.
fn dense_header(edit: impl FnOnce(&mut Value)) -> String {
    let mut header = json!({
        "__metadata__": {"format": "keras", "config": dense().to_string()},
        "head/kernel": {"dtype": "F32", "shape": [4, 3], "data_offsets": [0, 48]},
        "head/bias": {"dtype": "F32", "shape": [3], "data_offsets": [48, 60]},
    });
    edit(&mut header);
    header.to_string()
}

#[test]
fn damaged_safetensors_are_refused() {
    let folder = Folder::new();
    let refused = |bytes: &[u8], words: &[&str]| {
        let model = folder.write("model.safetensors", bytes);
        let words: Vec<&str> = words.iter().copied().chain(["model.safetensors"]).collect();
        folder.refused(&["inspect", &model], &words);
        folder.refused(&["convert", &model, "out.keras"], &words);
        assert!(!folder.path("out.keras").exists());
    };
    let whole = safetensors(&dense_header(|_| ()), &[0; 60]);
    let model = folder.write("model.safetensors", &whole);
    assert_eq!(folder.seqfuse(&["inspect", &model]).status.code(), Some(0));
    for length in [0, 7, 8, 40, whole.len() - 60, whole.len() - 1] {
        refused(&whole[..length], &["damaged"]);
    }
    refused(&[&whole[..], &[0]].concat(), &["damaged"]);
    refused(&u64::MAX.to_le_bytes(), &["damaged"]);
    refused(&[&(1u64 << 60).to_le_bytes()[..], &[b'{'; 64]].concat(), &["damaged"]);
    refused(&safetensors("[1, 2]", &[]), &["damaged"]);
    refused(&safetensors(&"[".repeat(100_000), &[]), &["damaged"]);
    let with = |edit: &dyn Fn(&mut Value)| safetensors(&dense_header(edit), &[0; 60]);
    let offsets = |name: &'static str, from: u64, to: u64| {
        with(&move |header| header[name]["data_offsets"] = json!([from, to]))
    };
    refused(&offsets("head/bias", 0, 12), &["damaged"]);
    refused(&offsets("head/bias", 60, 48), &["damaged"]);
    refused(&offsets("head/bias", 48, u64::MAX), &["damaged"]);
    refused(&with(&|header| header["head/bias"]["shape"] = json!([1u64 << 62, 16])), &["damaged"]);
    refused(&with(&|header| header["head/bias"]["dtype"] = "F64".into()), &["damaged"]);
    refused(&with(&|header| header["head/bias"]["dtype"] = "X".into()), &["damaged"]);
    refused(&with(&|header| header["__metadata__"]["config"] = json!({})), &["damaged"]);
}

#[test]
fn safetensors_that_are_no_whole_model_are_refused() {
    let folder = Folder::new();
    let refused = |edit: &dyn Fn(&mut Value), words: &[&str]| {
        let bytes = safetensors(&dense_header(edit), &[0; 60]);
        let model = folder.write("model.safetensors", bytes);
        let words: Vec<&str> = words.iter().copied().chain(["model.safetensors"]).collect();
        folder.refused(&["inspect", &model], &words);
    };
    let metadata = |key: &'static str, value: Value| {
        move |header: &mut Value| header["__metadata__"][key] = value.clone()
    };
    let remove = |key: &'static str| {
        move |header: &mut Value| {
            header["__metadata__"].as_object_mut().expect("an object").remove(key);
        }
    };
    refused(&remove("format"), &["weights alone", "convert"]);
    refused(&metadata("format", "pt".into()), &["'pt'", "convert"]);
    refused(&metadata("format", "graph".into()), &["graph"]);
    refused(&remove("config"), &["config", "missing"]);
    refused(&metadata("config", "{".into()), &["config", "JSON"]);
    refused(&metadata("config", "[]".into()), &["model"]);
    refused(&metadata("config", "[".repeat(1000).into()), &["config", "JSON"]);
    refused(&metadata("compile_config", "7".into()), &["compile_config"]);
    refused(&metadata("assets", "[]".into()), &["assets"]);
    refused(&metadata("assets", r#"{"a": 3}"#.into()), &["assets"]);
    refused(&metadata("assets", r#"{"a": {"base64": "!"}}"#.into()), &["assets"]);
    let rename = |from: &'static str, to: &'static str| {
        move |header: &mut Value| {
            let header = header.as_object_mut().expect("an object");
            let entry = header.remove(from).expect("an entry");
            header.insert(to.to_owned(), entry);
        }
    };
    refused(&rename("head/bias", "head/offset"), &["head/bias", "missing"]);
    refused(
        &|header| {
            header["head/more"] = json!({"dtype": "F32", "shape": [0],
        "data_offsets": [60, 60]})
        },
        &["head/more", "no layer"],
    );
    refused(&|header| header["head/kernel"]["shape"] = json!([3, 4]), &["head/kernel", "[3, 4]"]);
    refused(&|header| header["head/bias"]["dtype"] = "I32".into(), &["head"]);
}
