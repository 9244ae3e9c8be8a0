#include "graph/penalties.h"

#include <algorithm>
#include <unordered_map>

#include "graph/node_kinds.h"
#include "libtorch/edges.h"

namespace natgrad::detail {

using torch::autograd::Edge;
using torch::autograd::edge_list;
using torch::autograd::Node;

namespace {

struct Below {
  bool term = false, parameter = false;
  bool only_parameters() const { return parameter && !term; }
};
using BelowMap = std::unordered_map<const Node*, Below>;

/// What lies below each node; `upper.nodes` come lower ones first.
BelowMap look_below(const UpperGraph& upper) {
  BelowMap below;
  for (const auto* term : upper.terms) below[term].term = true;
  for (const auto* parameter : upper.parameters) below[parameter].parameter = true;
  for (const auto* node : upper.nodes) {
    Below all;
    for (const auto& edge : node->next_edges()) {
      if (!edge.is_valid()) continue;
      const Below& one = below[edge.function.get()];
      all.term = all.term || one.term;
      all.parameter = all.parameter || one.parameter;
    }
    below[node] = all;
  }
  return below;
}

std::vector<const Node*> way_to_a_parameter(const Node* node, const BelowMap& below) {
  std::vector<const Node*> way = {node};
  while (!node->next_edges().empty()) {
    const auto& edges = node->next_edges();
    const auto next = std::find_if(edges.begin(), edges.end(), [&](const Edge& edge) {
      return edge.is_valid() && below.at(edge.function.get()).parameter;
    });
    if (next == edges.end()) break;
    way.push_back(node = next->function.get());
  }
  return way;
}

}  // namespace

edge_list find_penalties(UpperGraph upper, const std::function<bool(Node&)>& is_penalty_part,
                         const std::function<void(const std::vector<const Node*>&)>& reject) {
  std::sort(upper.nodes.begin(), upper.nodes.end(),
            [](const Node* a, const Node* b) { return is_lower(*a, *b); });
  const auto below = look_below(upper);
  edge_list penalties;
  std::for_each(upper.nodes.rbegin(), upper.nodes.rend(), [&](Node* node) {
    const Below& at_node = below.at(node);
    if (at_node.only_parameters() && !is_penalty_part(*node)) {
      reject(way_to_a_parameter(node, below));
    }
    if (!at_node.term) return;
    for (const auto& edge : node->next_edges()) {
      if (!edge.is_valid() || !below.at(edge.function.get()).only_parameters()) continue;
      const bool known = std::find(penalties.begin(), penalties.end(), edge) != penalties.end();
      if (!known) penalties.push_back(edge);
    }
  });
  return penalties;
}

}  // namespace natgrad::detail
