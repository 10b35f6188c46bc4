//! The shaders are valid WGSL and fit WebGPU's bindings, on machines without a GPU too.

use super::*;
use seqfuse_kernels::wgsl;
use wgpu::naga;

/// The fixed kernels, samples of those that operators bring along, and those of recurrent layers.
fn all() -> Vec<Shader> {
    let fixed = Kernel::ALL.into_iter().map(Kernel::shader);
    fixed.chain(lower::shaders()).chain(recurrent()).collect()
}

/// The kernels of recurrent layers with every number of rows and some numbers of weights in registers.
fn recurrent() -> Vec<Shader> {
    let mut shaders = Vec::new();
    let cells =
        [("lstm", wgsl::LSTM, Cell::Lstm), ("gru", wgsl::GRU, Cell::Gru { reset_after: true })];
    for (name, text, cell) in cells {
        for half in [false, true] {
            for (groups, rows) in
                [0, 1, 2, 10, 32].into_iter().flat_map(|n| [(n, 1), (n, 2), (n, 4)])
            {
                let kept = unrolled::text(cell, half, groups, rows);
                shaders.push(Shader::joined(name, &[text, &kept]));
            }
        }
    }
    shaders
}

fn module(shader: &Shader) -> naga::Module {
    match naga::front::wgsl::parse_str(shader.text()) {
        Ok(module) => module,
        Err(error) => {
            panic!("{}:\n{}", shader.name(), error.emit_to_string(shader.text()))
        }
    }
}

#[test]
fn every_kernel_is_valid_wgsl_without_optional_capabilities_but_subgroups() {
    let mut with_subgroups = 0;
    for kernel in all() {
        let flags = naga::valid::ValidationFlags::all();
        let uses = kernel.text().contains("subgroup");
        with_subgroups += usize::from(uses);
        // What unpacks f16 is in WGSL itself, and in Vulkan, Metal and DirectX 12.
        let mut capabilities = naga::valid::Capabilities::SHADER_FLOAT16_IN_FLOAT32;
        capabilities.set(naga::valid::Capabilities::SUBGROUP, uses);
        let mut validator = naga::valid::Validator::new(flags, capabilities);
        validator.subgroup_stages(naga::valid::ShaderStages::COMPUTE);
        validator.subgroup_operations(naga::valid::SubgroupOperationSet::all());
        if let Err(error) = validator.validate(&module(&kernel)) {
            panic!("{}: {error:?}", kernel.name());
        }
    }
    assert!(with_subgroups > 10, "{with_subgroups} kernels with subgroups");
}

#[test]
fn every_kernel_keeps_to_the_shared_bindings() {
    for kernel in all() {
        let module = module(&kernel);
        assert!(module.entry_points.iter().any(|entry| entry.name == "main"), "{}", kernel.name());
        for (_, variable) in module.global_variables.iter() {
            let Some(binding) = &variable.binding else { continue };
            assert_eq!(binding.group, 0, "{}", kernel.name());
            let is_uniform = variable.space == naga::AddressSpace::Uniform;
            assert_eq!(binding.binding == 2, is_uniform, "{}", kernel.name());
            if is_uniform {
                let size = module.types[variable.ty].inner.size(module.to_ctx());
                assert!(u64::from(size) <= 512, "{}: {size} bytes of parameters", kernel.name());
            }
        }
    }
}
