//! What can go wrong on a GPU.

/// An error of the GPU runtime.
#[derive(Debug, thiserror::Error)]
pub enum GpuError {
    /// No adapter fits what was asked for.
    #[error("no GPU adapter {wanted} (adapters: {found}); install a GPU driver or run on the CPU")]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// The names of the adapters that there are.
        found: String,
    },
    /// The adapter gave no device.
    #[error("adapter '{adapter}' gives no device")]
    RequestDevice {
        /// The adapter's name.
        adapter: String,
        /// Why.
        #[source]
        source: wgpu::RequestDeviceError,
    },
    /// The adapter lacks what every kernel needs.
    #[error("adapter '{adapter}' has {name} = {found}, kernels need at least {needed}")]
    Adapter {
        /// The adapter's name.
        adapter: String,
        /// The limit's name in WebGPU.
        name: &'static str,
        /// The adapter's value.
        found: u64,
        /// The least value that serves.
        needed: u64,
    },
    /// The device has no memory left.
    #[error("the GPU is out of memory: {what}. Use a smaller batch, or run on the CPU")]
    OutOfMemory {
        /// What was being done.
        what: String,
    },
    /// wgpu refused a call; a fault of this program.
    #[error("wgpu refused to {what}: {message}")]
    Validation {
        /// What was being done.
        what: String,
        /// wgpu's message.
        message: String,
    },
    /// The driver failed.
    #[error("the GPU driver failed to {what}: {message}")]
    Driver {
        /// What was being done.
        what: String,
        /// The driver's or wgpu's message.
        message: String,
    },
    /// The device is gone: unplugged, reset, or reset by a driver's watchdog.
    #[error("the GPU was lost ({message}); open the device again")]
    Lost {
        /// The driver's message.
        message: String,
    },
    /// A size is above one of the device's limits.
    #[error("{what} needs {needed}, above the device's {limit} = {available}")]
    Limit {
        /// The value or call.
        what: String,
        /// The size needed.
        needed: u64,
        /// The limit's name.
        limit: &'static str,
        /// The limit's value.
        available: u64,
    },
    /// A call's arguments do not fit together.
    #[error("{what}: {message}")]
    Arguments {
        /// The call.
        what: String,
        /// What does not fit.
        message: String,
    },
    /// A kernel met numbers for which words of 32 bits have no result.
    #[error("{what}: the result does not fit 32 bits, or there is none; run on the CPU")]
    Unfit {
        /// The node.
        what: String,
    },
    /// An id outside an embedding's table.
    #[error(
        "{what}: the id {id} at position {position} is outside the table of {vocabulary} rows; \
         give ids from 0 to {}", vocabulary.saturating_sub(1)
    )]
    IdOutOfRange {
        /// The embedding.
        what: String,
        /// Where the id stands among the ids, row-major.
        position: usize,
        /// The id.
        id: i32,
        /// The table's rows.
        vocabulary: u32,
    },
}

impl GpuError {
    pub(super) fn arguments(what: &str, message: impl Into<String>) -> GpuError {
        GpuError::Arguments { what: what.to_owned(), message: message.into() }
    }
}
