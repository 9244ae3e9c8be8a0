#pragma once

#include "detail.h"
#include "libtorch/edges.h"

#include <torch/csrc/autograd/function.h>

#include <unordered_set>
#include <utility>
#include <vector>

namespace natgrad::detail {

/// Visits every node below the roots once, themselves included; `visit(node, from)` answers whether
/// to go on below the node, and is given the node it was reached from (null for a root).
template <class Visit>
void depth_first(const torch::autograd::edge_list& roots, Visit visit) {
  using torch::autograd::Node;
  std::unordered_set<const Node*> seen;
  std::vector<std::pair<Node*, Node*>> stack;
  for (auto root = roots.rbegin(); root != roots.rend(); ++root) {
    stack.emplace_back(root->function.get(), nullptr);
  }
  while (!stack.empty()) {
    const auto [node, from] = stack.back();
    stack.pop_back();
    if (!seen.insert(node).second || !visit(*node, from)) continue;
    for (const auto& edge : node->next_edges()) {
      if (edge.is_valid()) stack.emplace_back(edge.function.get(), node);
    }
  }
}

/// The same below one node.
template <class Visit>
void depth_first(torch::autograd::Node* root, Visit visit) {
  depth_first(torch::autograd::edge_list{result_of(*root)}, std::move(visit));
}

}  // namespace natgrad::detail
