#include "diagnostics/op_at_fault.h"

#include <torch/types.h>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "graph/depth_first.h"
#include "libtorch/custom_ops.h"
#include "libtorch/edges.h"

namespace natgrad::detail {

using torch::autograd::Node;

namespace {

/// How many of the wrong and of the right parameters lie below a node.
struct Below {
  size_t wrong = 0, right = 0;
};

Below below_node(Node& top, const std::unordered_map<const Node*, bool>& is_wrong) {
  Below below;
  depth_first(&top, [&](Node& node, Node*) {
    const auto found = is_wrong.find(&node);
    if (found != is_wrong.end()) ++(found->second ? below.wrong : below.right);
    return true;
  });
  return below;
}

/// Whether `a` explains more than `b`.
bool explains_better(const Below& a, const Below& b) {
  return a.wrong != b.wrong ? a.wrong > b.wrong : a.right < b.right;
}

}  // namespace

std::string custom_op_above(const Census& loss, const std::vector<torch::Tensor>& parameters,
                            const std::vector<bool>& is_wrong) {
  std::unordered_map<const Node*, bool> nodes;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].requires_grad()) nodes[&node_of(parameters[i])] = is_wrong[i];
  }
  Below best{1, std::numeric_limits<size_t>::max()};
  std::vector<std::string> names;
  for (Node* node : loss.nodes) {
    if (!is_custom(*node)) continue;
    const auto below = below_node(*node, nodes);
    if (explains_better(best, below)) continue;
    if (explains_better(below, best)) names.clear();
    best = below;
    const auto name = spoken_name(*node);
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : " or ") + name;
  return text;
}

bool is_reached(const Census& loss, const torch::Tensor& parameter) {
  if (!parameter.requires_grad()) return false;
  const Node* wanted = &node_of(parameter);
  return std::find(loss.nodes.begin(), loss.nodes.end(), wanted) != loss.nodes.end();
}

}  // namespace natgrad::detail
