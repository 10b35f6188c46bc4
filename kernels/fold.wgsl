
// The fold of what the threads of a line hold, for all of them. A template: the host puts in names and
// types, and, where neighbours are known to be neighbours in a subgroup too, a loop that exchanges
// values within it. Two are always joined to the same bits, so that all threads hold the same.
var<workgroup> $name_partial: array<$element, 256>;

fn $name(mine: $element, line: Line, lane: u32) -> $element {
    var value = mine;
    var width = 1u;  // neighbours that hold the same
    $shuffle
    $name_partial[lane] = value;
    workgroupBarrier();
    for (var half = p.threads / 2u; half >= width; half /= 2u) {
        if line.thread < half {
            $name_partial[lane] = $join($name_partial[lane], $name_partial[lane + half]);
        }
        workgroupBarrier();
    }
    let all = $name_partial[lane - line.thread];
    workgroupBarrier();
    return all;
}
