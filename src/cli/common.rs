//! Arguments that several commands share, and the model that they name.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::error::CliError;
use crate::graph::{DType, Input};
use crate::text::parse_vocabulary_file;
use crate::{Device, Format, Labels, Model, Options, ReadOptions, Session};

/// Which model, and what is said about it beside the file.
#[derive(Debug, Args)]
pub(super) struct ModelArgs {
    /// The model: a .keras, .h5, .onnx or .safetensors file, or a .json description (untrained)
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The tokens of the model's text layer, one a line, in place of those in the model's file
    #[arg(long, value_name = "FILE")]
    pub vocabulary: Option<PathBuf>,
    /// Templates of the model's custom classes (docs/custom-classes.md); may be given several times
    #[arg(long, value_name = "FILE.json")]
    pub custom: Vec<PathBuf>,
    /// The description of the model whose weights an .h5 file holds; without it the file's own, or
    /// one of the same name beside it
    #[arg(long, value_name = "FILE.json")]
    pub architecture: Option<PathBuf>,
}

impl ModelArgs {
    /// Reads the model.
    pub fn open(&self) -> Result<Model, CliError> {
        self.open_with(&self.options()?)
    }

    /// Reads the model with what `options` say.
    pub fn open_with(&self, options: &ReadOptions) -> Result<Model, CliError> {
        let model = Model::open_with(&self.model, options)?;
        let takes_text = |input: &Input| model.graph().ty(input.value).dtype == DType::Str;
        if let (Some(path), false) =
            (&self.vocabulary, model.graph().inputs().iter().any(takes_text))
        {
            let path = path.display();
            return Err(CliError::usage(format!(
                "--vocabulary {path}: the model takes no text; leave it out"
            )));
        }
        Ok(model)
    }

    /// What is said about the model beside the file.
    pub fn options(&self) -> Result<ReadOptions, CliError> {
        let mut options = ReadOptions::default();
        if let Some(path) = &self.vocabulary {
            let tokens = parse_vocabulary_file(&read_text(path)?);
            if tokens.iter().all(|token| token.is_empty() || token == "[UNK]") {
                let what = "the vocabulary holds no token; put one on each line";
                return Err(CliError::failed(what).within(path.display()));
            }
            options.vocabulary = Some(tokens);
        }
        for path in &self.custom {
            let added = options.custom.register(&read_text(path)?);
            added.map_err(|error| error.in_file(path.display()))?;
        }
        if let Some(path) = &self.architecture {
            options.architecture = Some(read_description(path)?);
        }
        Ok(options)
    }
}

/// The names of a classifier's classes.
#[derive(Debug, Args)]
pub(super) struct LabelsArgs {
    /// Names of the values of a row, one a line, in place of those in the model's file; two names
    /// for one probability: below 0.5 and from 0.5 on. For several outputs a JSON object of lists
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
}

impl LabelsArgs {
    /// The names, where a file is given.
    pub fn read(&self) -> Result<Option<Labels>, CliError> {
        self.labels.as_deref().map(read_labels).transpose()
    }
}

/// Where a model runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum DeviceChoice {
    /// The device that this model runs on best
    #[default]
    Auto,
    /// The processor
    Cpu,
    /// The graphics processor
    Gpu,
}

/// Where and with how many threads a model runs.
#[derive(Debug, Args)]
pub(super) struct DeviceArgs {
    /// Where to run
    #[arg(long, value_enum, default_value_t)]
    pub device: DeviceChoice,
    /// Keep the kernels of products, convolutions and recurrent layers and the tables of embeddings as
    /// f16 on the GPU: half the memory, three digits of each weight
    #[arg(long)]
    pub half_weights: bool,
    /// Threads on the CPU [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

impl DeviceArgs {
    /// The options of a Session.
    pub fn options(&self) -> Options {
        let options = Options::new().device(match self.device {
            DeviceChoice::Auto => Device::Auto,
            DeviceChoice::Cpu => Device::Cpu,
            DeviceChoice::Gpu => Device::Gpu,
        });
        let options = options.half_weights(self.half_weights);
        #[cfg(feature = "gpu")]
        let options = match cache_folder() {
            Some(folder) => options.keep_pipelines(folder),
            None => options,
        };
        match self.threads {
            Some(threads) => options.threads(usize::from(threads)),
            None => options,
        }
    }
}

/// Where compiled kernels of the GPU are kept: `SEQFUSE_CACHE_DIR`, or the user's folder for such files.
/// Nowhere if the variable is empty.
#[cfg(feature = "gpu")]
fn cache_folder() -> Option<PathBuf> {
    match std::env::var_os("SEQFUSE_CACHE_DIR") {
        Some(folder) => (!folder.is_empty()).then(|| folder.into()),
        None => Some(dirs::cache_dir()?.join("seqfuse")),
    }
}

/// Says on standard error what kept `--device auto` from the GPU, and what was asked of a GPU in vain.
pub(super) fn warn_of_fallback(args: &DeviceArgs, session: &Session) {
    if let Some(warning) = session.fallback() {
        eprintln!("warning: --device auto: {warning}");
    }
    if args.half_weights && session.device() == Device::Cpu {
        eprintln!("note: --half-weights changes nothing: --device auto took the CPU");
    }
}

/// Reads a file whole; `-` is standard input.
pub(super) fn read_bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    let read = match path.as_os_str() == "-" {
        true => {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut std::io::stdin().lock(), &mut bytes).map(|_| bytes)
        }
        false => std::fs::read(path),
    };
    read.map_err(|error| {
        CliError::failed(format!("{}: the file cannot be read", path.display())).caused_by(&error)
    })
}

/// Reads a description whole; what is no JSON is refused here, where its own file can be named.
fn read_description(path: &Path) -> Result<Vec<u8>, CliError> {
    let bytes = read_bytes(path)?;
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(text);
    parsed.map_err(|error| {
        let what = "the description is not valid JSON; `model.to_json()` in Python gives one";
        CliError::failed(what).caused_by(&error).within(path.display())
    })?;
    Ok(bytes)
}

/// Says that a description has no weights: what is computed from it means nothing yet.
pub(super) fn note_untrained(model: &Path) {
    if Format::of(model).is_ok_and(|format| format == Format::Description) {
        eprintln!("note: a description holds no weights; they are drawn by its initializers");
    }
}

/// Reads a file of UTF-8 text whole, without a byte order mark.
pub(super) fn read_text(path: &Path) -> Result<String, CliError> {
    let text = String::from_utf8(read_bytes(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let what = format!("byte {at} is not UTF-8; save the file as UTF-8");
        CliError::failed(what).within(path.display())
    })?;
    Ok(match text.strip_prefix('\u{feff}') {
        Some(rest) => rest.to_owned(),
        None => text,
    })
}

/// Reads a file of a text a line. Empty lines are texts too, so that rows stay where they are.
pub(super) fn read_lines(path: &Path) -> Result<Vec<String>, CliError> {
    Ok(read_text(path)?.lines().map(str::to_owned).collect())
}

/// Reads a file of a label a line, or of labels by output.
fn read_labels(path: &Path) -> Result<Labels, CliError> {
    let labels = Labels::parse(&read_text(path)?);
    if labels.is_empty() {
        let what = "the file holds no label; put one on each line";
        return Err(CliError::failed(what).within(path.display()));
    }
    if let Some(flaw) = labels.flaw() {
        let what = format!("{flaw}; give each class a name of its own, one a line");
        return Err(CliError::failed(what).within(path.display()));
    }
    Ok(labels)
}
