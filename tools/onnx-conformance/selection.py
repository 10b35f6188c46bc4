#!/usr/bin/env python3
"""Copies a small selection of ONNX's tests into tests/fixtures/onnx/nodes, for machines without the download.

    python3 tools/onnx-conformance/selection.py [--cases DIR]
"""

import argparse
import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SELECTION = """
test_add_bcast test_and_bcast3v2d test_argmax_keepdims_example_select_last_index test_argmin_default_axis_example
test_bitshift_left_uint8 test_bitwise_and_ui64_bcast_3v1d test_cast_FLOAT_to_DOUBLE test_castlike_FLOAT_to_FLOAT16
test_clip_default_inbounds test_clip_default_int8_min test_compress_0 test_concat_2d_axis_1
test_constant test_constantofshape_int_shape_zero test_cumsum_1d_reverse_exclusive test_cumsum_2d_axis_1
test_div_uint64 test_div_int32_trunc test_dropout_default_mask_ratio test_einsum_sum test_equal_string_broadcast
test_expand_dim_changed test_eyelike_populate_off_main_diagonal test_flatten_axis1 test_gather_negative_indices
test_gather_elements_negative_indices test_gathernd_example_int32_batch_dim1 test_gemm_all_attributes
test_identity test_isinf_negative test_less_equal_uint64 test_matmul_4d test_matmul_bcast test_max_uint64
test_mean_example test_min_int16 test_mod_int64_fmod test_mod_uint64 test_mod_mixed_sign_float32 test_nonzero_example
test_not_2d test_onehot_negative_indices test_pow_types_float32_int64 test_range_int32_type_negative_delta
test_reduce_l2_keep_dims_random test_reduce_log_sum_exp_default_axes_keepdims_random test_reduce_max_bool_inputs
test_reduce_sum_empty_axes_input_noop test_reduce_min_empty_set test_reflect_pad test_wrap_pad test_constant_pad_axes
test_reshape_negative_dim test_reshape_allowzero_reordered test_reversesequence_time test_round
test_scatter_elements_with_reduction_max test_scatternd_add test_shape_start_negative_1 test_size
test_slice_neg_steps test_slice_end_out_of_bounds test_split_2d_uneven_split_opset18 test_squeeze_negative_axes
test_tile_precomputed test_top_k_smallest test_top_k_uint64 test_transpose_all_permutations_4 test_tril_neg
test_triu_zero test_unique_sorted_with_axis_3d test_unsqueeze_unsorted_axes test_where_long_example
test_operator_addmm test_operator_chunk test_operator_non_float_params
""".split()


def main():
    """Copies the cases and writes their index."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ROOT / "tools" / "data" / "cache" / "onnx-conformance"
    parser.add_argument("--cases", type=Path, default=default, metavar="DIR")
    cases = parser.parse_args().cases
    output = ROOT / "tests" / "fixtures" / "onnx" / "nodes"
    shutil.rmtree(output, ignore_errors=True)
    chosen = [
        entry
        for entry in json.loads((cases / "cases.json").read_text(encoding="utf-8"))
        if entry["name"] in SELECTION
    ]
    missing = set(SELECTION) - {entry["name"] for entry in chosen}
    if missing:
        raise SystemExit(f"not among the cases: {', '.join(sorted(missing))}")
    for entry in chosen:
        shutil.copytree(cases / entry["folder"], output / entry["folder"])
    rows = ",\n".join(" " + json.dumps(entry) for entry in chosen)
    (output / "cases.json").write_text(f"[\n{rows}\n]\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    print(f"{output}: {len(chosen)} cases, {size} bytes")


if __name__ == "__main__":
    main()
