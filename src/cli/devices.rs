//! `seqfuse devices`: what models can run on here.

use clap::Args;
use seqfuse_kernels::Isa;

use super::COLUMNS;
use super::error::CliError;
use super::output;
use super::table::{Align, Table};

/// List the devices that models can run on
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  seqfuse devices")]
pub(super) struct DevicesArgs {}

/// Runs the command.
pub(super) fn run(_: &DevicesArgs) -> Result<(), CliError> {
    let mut table =
        Table::new(&[("Device", Align::Left), ("Name", Align::Left), ("Details", Align::Left)]);
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu_name(&info).unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let isa = isa_name(Isa::detect());
    let cores = physical_cores(&info).map_or(String::new(), |cores| format!("{cores} cores, "));
    table.row(["cpu".to_owned(), name, format!("{isa}, {cores}{threads} threads")]);
    push_gpus(&mut table);
    output::print(&table.render(COLUMNS))
}

#[cfg(not(feature = "gpu"))]
fn push_gpus(table: &mut Table) {
    table.row(["gpu".to_owned(), "this build has no GPU support".to_owned(), String::new()]);
}

#[cfg(feature = "gpu")]
fn push_gpus(table: &mut Table) {
    let devices = crate::runtime::gpu::GpuDevice::list();
    if devices.is_empty() {
        let none = "no driver found; install a Vulkan, Metal or DirectX 12 driver";
        table.row(["gpu".to_owned(), none.to_owned(), String::new()]);
    }
    for (index, device) in devices.iter().enumerate() {
        // The first is the one that `--device gpu` takes.
        let label = if index == 0 { "gpu".to_owned() } else { format!("gpu {index}") };
        let auto = match device.kind {
            crate::runtime::gpu::DeviceKind::Software => ", never taken by auto",
            _ => "",
        };
        let details = format!("{}, {}, {}{auto}", device.backend, device.kind, device.driver);
        table.row([label, device.name.clone(), details]);
    }
}

fn isa_name(isa: Isa) -> &'static str {
    match isa {
        Isa::Avx512 => "AVX-512",
        Isa::Avx2 => "AVX2 and FMA",
        Isa::Neon => "NEON",
        Isa::Portable if cfg!(target_arch = "x86_64") => "SSE2",
        Isa::Portable => "portable",
    }
}

/// The values of `key` in the form of Linux's `/proc/cpuinfo`.
fn entries<'a>(info: &'a str, key: &str) -> Vec<&'a str> {
    let lines = info.lines().filter_map(|line| line.split_once(':'));
    lines.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim()).collect()
}

fn cpu_name(info: &str) -> Option<String> {
    entries(info, "model name").first().map(|name| (*name).to_owned())
}

/// How many different cores of sockets there are.
fn physical_cores(info: &str) -> Option<usize> {
    let (sockets, cores) = (entries(info, "physical id"), entries(info, "core id"));
    let mut pairs: Vec<_> = sockets.into_iter().zip(cores).collect();
    pairs.sort_unstable();
    pairs.dedup();
    (!pairs.is_empty()).then_some(pairs.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_one_core_count_once() {
        let info = "model name\t: A CPU\nphysical id\t: 0\ncore id\t: 0\n\n\
                    model name\t: A CPU\nphysical id\t: 0\ncore id\t: 0\n\n\
                    model name\t: A CPU\nphysical id\t: 1\ncore id\t: 0\n";
        assert_eq!(physical_cores(info), Some(2));
        assert_eq!(cpu_name(info).as_deref(), Some("A CPU"));
        assert_eq!(physical_cores(""), None);
    }
}
