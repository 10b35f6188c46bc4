//! The `seqfuse` command on a GPU, and where there is none.

#![cfg(all(feature = "cli", feature = "gpu"))]

use std::path::Path;
use std::process::{Command, Output};

use seqfuse::formats::npz::write_npz;
use seqfuse::runtime::gpu::GpuDevice;
use seqfuse::{Tensor, Tensors};

const MODEL: &str = "tests/fixtures/documented/conv-classifier.keras";
const ARRAYS: &str = "tests/fixtures/documented/conv-classifier.npz";

fn seqfuse(arguments: &[&str], cache: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_seqfuse"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    command.env("SEQFUSE_CACHE_DIR", cache);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn done(mut command: Command) -> Output {
    let output = command.output().expect("the command starts");
    assert_eq!(output.status.code(), Some(0), "{command:?}: {}", text(&output.stderr));
    output
}

fn has_adapter() -> bool {
    if GpuDevice::list().is_empty() {
        let required = std::env::var("SEQFUSE_REQUIRE_GPU").is_ok_and(|value| value == "1");
        assert!(!required, "SEQFUSE_REQUIRE_GPU=1, and there is no GPU adapter");
        eprintln!("SKIPPED: no GPU adapter for the command on a GPU");
        return false;
    }
    true
}

/// The files in a folder with what they hold.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let of = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("an entry");
        (text(entry.file_name().as_encoded_bytes()), std::fs::read(entry.path()).expect("a file"))
    };
    entries.map(of).collect()
}

#[test]
fn compiled_kernels_are_kept_for_the_next_process() {
    if !has_adapter() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let cache = folder.path().join("cache");
    let run = || {
        let arguments = ["run", MODEL, "--input", ARRAYS, "--device", "gpu", "--output", "-"];
        text(&done(seqfuse(&arguments, &cache)).stdout)
    };
    let first = run();
    let kept = files(&cache);
    if kept.is_empty() && GpuDevice::list()[0].backend != "vulkan" {
        eprintln!("SKIPPED: this adapter's driver hands out no compiled kernels");
        return;
    }
    assert_eq!(kept.len(), 1, "one file an adapter");
    assert_eq!(run(), first, "with kernels from the file");
    // A damaged file is passed over and replaced by a whole one.
    let path = cache.join(&kept[0].0);
    std::fs::write(&path, &kept[0].1[..kept[0].1.len() / 2]).expect("it is written");
    assert_eq!(run(), first, "with a damaged file");
    assert!(files(&cache)[0].1.len() > kept[0].1.len() / 2, "it is whole again");
}

#[test]
fn nothing_is_kept_where_the_variable_is_empty() {
    if !has_adapter() {
        return;
    }
    let home = tempfile::tempdir().expect("a folder");
    let arguments = ["run", MODEL, "--input", ARRAYS, "--device", "gpu", "--output", "-"];
    let mut command = seqfuse(&arguments, Path::new(""));
    command.env("XDG_CACHE_HOME", home.path());
    done(command);
    // The driver may keep things of its own there.
    assert!(!home.path().join("seqfuse").exists());
}

#[test]
fn half_weights_that_auto_has_no_use_for_are_said_to_change_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["run", MODEL, "--input", ARRAYS, "--half-weights"];
    let output = done(seqfuse(&arguments, folder.path()));
    let error = text(&output.stderr);
    assert!(error.contains("--half-weights changes nothing"), "{error}");
}

#[test]
fn auto_says_once_that_there_is_no_gpu_where_one_would_be_faster() {
    let folder = tempfile::tempdir().expect("a folder");
    let rows = 90 * 256;
    let tokens: Vec<i32> = (0..rows * 120).map(|i| (i * 7 % 50) as i32).collect();
    let tokens = Tensor::new([rows, 120], tokens).expect("the count fits");
    let input = folder.path().join("many.npz");
    let arrays: Tensors = [("tokens", tokens)].into();
    std::fs::write(&input, write_npz(&arrays).expect("an archive")).expect("it is written");
    let input = input.to_str().expect("is UTF-8");
    let output = folder.path().join("out.npz");
    let output = output.to_str().expect("is UTF-8");
    let arguments = ["run", MODEL, "--input", input, "--output", output];
    let mut command = seqfuse(&arguments, folder.path());
    command.args(["--batch-size", "256", "--threads", "1"]);
    // The Vulkan loader looks for drivers there alone.
    command.env("VK_DRIVER_FILES", "none").env("VK_ICD_FILENAMES", "none");
    let error = text(&done(command).stderr);
    if cfg!(target_os = "linux") {
        assert_eq!(error.matches("warning: --device auto").count(), 1, "{error}");
        assert!(error.contains("no GPU adapter is there"), "{error}");
    } else {
        eprintln!("SKIPPED: adapters can be hidden from the Vulkan loader alone");
    }
}
