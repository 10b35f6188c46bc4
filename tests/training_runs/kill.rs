//! Training that is killed, or whose disk is full, in a process of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use seqfuse::train::Trainer;
use seqfuse::train::callback::{CsvLogger, EarlyStopping, ReduceLROnPlateau};

use super::models::{Random, config, data, lstm, outcome, same};

/// The folder that the child works in; without it there is nothing to do for it.
const FOLDER: &str = "SEQFUSE_TEST_TRAINING_FOLDER";
const EPOCHS: &str = "SEQFUSE_TEST_TRAINING_EPOCHS";

const KILLS: usize = 20;

/// What the processes of the other tests run.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let folder = Path::new(&folder);
    let epochs = std::env::var(EPOCHS).unwrap().parse().unwrap();
    let config = config().epochs(epochs).validation_split(0.2).checkpoint_every(2);
    let config = config.checkpoint(folder.join("checkpoints")).resume(true);
    let plateau = ReduceLROnPlateau::new("loss").patience(1).min_delta(0.1).factor(0.8).unwrap();
    let mut trainer = Trainer::new(&lstm(), &config)
        .unwrap()
        .callback(plateau)
        .callback(EarlyStopping::new("val_loss").patience(100).restore_best_weights(true))
        .callback(CsvLogger::new(folder.join("log.csv")));
    match trainer.fit(&data(60, 12, 7)) {
        Ok(history) => {
            let lines = outcome(&trainer, &history).join("\n");
            std::fs::write(folder.join("outcome"), lines).unwrap();
        }
        Err(error) => std::fs::write(folder.join("error"), error.to_string()).unwrap(),
    }
}

fn command(program: Command, folder: &Path, epochs: usize) -> Command {
    let mut command = program;
    command.args(["--exact", "kill::child", "--test-threads", "1"]);
    command.env(FOLDER, folder).env(EPOCHS, epochs.to_string());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn start(folder: &Path, epochs: usize) -> Child {
    let program = Command::new(std::env::current_exe().unwrap());
    command(program, folder, epochs).spawn().unwrap()
}

fn result(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("outcome")).unwrap();
    let log = std::fs::read_to_string(folder.join("log.csv")).unwrap();
    text.lines().chain(log.lines()).map(str::to_owned).collect()
}

/// Waits until the child ends or the time is over; says whether it ended.
fn ends_within(child: &mut Child, time: Duration) -> bool {
    let begin = Instant::now();
    while begin.elapsed() < time {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

#[test]
fn killed_runs_end_with_the_bits_of_an_unbroken_one() {
    const EPOCHS: usize = 12;
    let whole = tempfile::tempdir().unwrap();
    let begin = Instant::now();
    assert!(start(whole.path(), EPOCHS).wait().unwrap().success());
    let (length, expected) = (begin.elapsed(), result(whole.path()));
    let mut random = Random(11);
    let (mut kills, mut runs, mut resumed) = (0, 0, 0);
    while kills < KILLS {
        let folder = tempfile::tempdir().unwrap();
        let newest = folder.path().join("checkpoints/checkpoint.safetensors");
        // A run is killed up to five times; a machine that is slower then would never end otherwise.
        for attempt in 0.. {
            resumed += usize::from(newest.exists());
            let mut child = start(folder.path(), EPOCHS);
            let moment = length.mul_f64(random.below(1000) as f64 / 1000.0);
            if attempt == 5 || ends_within(&mut child, moment) {
                assert!(child.wait().unwrap().success());
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            kills += 1;
        }
        runs += 1;
        same("killed", &result(folder.path()), &expected);
    }
    println!("{runs} runs, killed {kills} times, went on {resumed} times, {length:?} unbroken");
    assert!(resumed > 0);
}

/// Writes beyond a limit fail as on a full disk.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_the_last_checkpoint_whole() {
    let folder = tempfile::tempdir().unwrap();
    assert!(start(folder.path(), 2).wait().unwrap().success());
    let newest = folder.path().join("checkpoints/checkpoint.safetensors");
    let before = std::fs::read(&newest).unwrap();
    // A limit of 4 blocks is 2048 or 4096 bytes, less than the file has.
    assert!(before.len() > 4096);
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$0\" \"$@\""]);
    limited.arg(std::env::current_exe().unwrap());
    assert!(command(limited, folder.path(), 5).status().unwrap().success());
    let error = std::fs::read_to_string(folder.path().join("error")).unwrap();
    assert!(error.contains("checkpoint.safetensors"), "{error}");
    assert_eq!(std::fs::read(&newest).unwrap(), before);
    let left: Vec<_> = std::fs::read_dir(newest.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 2, "{left:?}");
    std::fs::remove_file(folder.path().join("error")).unwrap();
    assert!(start(folder.path(), 5).wait().unwrap().success());
    let whole = tempfile::tempdir().unwrap();
    assert!(start(whole.path(), 5).wait().unwrap().success());
    same("after a full disk", &result(folder.path()), &result(whole.path()));
}
