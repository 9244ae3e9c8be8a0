#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <string>

#include "libtorch/nodes.h"

namespace natgrad::detail {

/// Of a path "A -> B -> C" from a loss down what lies above the network, and the network's last
/// layer.
std::string above_network(const std::string& path);

/// What to write instead of a loss along whose path, "A -> B -> C", no term was found, or what is
/// better than taking it as one of the outputs that are found; empty if nothing is known.
std::string way_out_of(const std::string& path);

/// The same for a loss that is not linear in its part at a node of that op, or in which the part
/// has a factor of the wrong sign.
std::string way_out_of(Op part);

/// What to write instead of an op that LibTorch calls not differentiable in such an error.
std::string way_out_of_error(const std::string& what);

/// Of a node of a loss of LibTorch that natgrad cannot read, which it is and what to write instead;
/// empty for any other node.
std::string loss_without_reader(const torch::autograd::Node& node);

}  // namespace natgrad::detail
