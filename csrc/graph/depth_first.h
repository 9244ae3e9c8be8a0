#pragma once

#include "detail.h"

#include <torch/csrc/autograd/function.h>

#include <unordered_set>
#include <utility>
#include <vector>

namespace natgrad::detail {

/// Visits every node below `root` once, itself included; `visit(node, from)` answers whether to go
/// on below the node, and is given the node it was reached from (null for the root).
template <class Visit>
void depth_first(torch::autograd::Node* root, Visit visit) {
  using torch::autograd::Node;
  std::unordered_set<const Node*> seen;
  std::vector<std::pair<Node*, Node*>> stack = {{root, nullptr}};
  while (!stack.empty()) {
    const auto [node, from] = stack.back();
    stack.pop_back();
    if (!seen.insert(node).second || !visit(*node, from)) continue;
    for (const auto& edge : node->next_edges()) {
      if (edge.is_valid()) stack.emplace_back(edge.function.get(), node);
    }
  }
}

}  // namespace natgrad::detail
