#include "graph/example_groups.h"

#include <torch/torch.h>

#include <algorithm>
#include <map>
#include <unordered_map>

#include "graph/backward.h"
#include "graph/parameter_uses.h"
#include "libtorch/data_inputs.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Node;

/// Inputs by number, as bits.
using InputSet = std::vector<bool>;

void unite(InputSet& set, const InputSet& other) {
  set.resize(std::max(set.size(), other.size()));
  for (size_t i = 0; i < other.size(); ++i) set[i] = set[i] || other[i];
}

/// Which inputs lie below which node.
class InputsBelow {
 public:
  InputsBelow(const Census& network, const ParameterLayout& parameters)
      : parameters_(nodes_of(parameters.tensors())) {
    auto nodes = network.nodes;
    std::sort(nodes.begin(), nodes.end(),
              [](const Node* a, const Node* b) { return is_lower(*a, *b); });
    for (Node* node : nodes) below_[node] = inputs_of(*node);
  }

  const InputSet& at(const Node* node) const { return below_.at(node); }

 private:
  /// What tells a tensor from others: where in memory its elements lie.
  struct Place {
    const void* storage;
    int64_t offset;
    std::vector<int64_t> sizes, strides;
    auto operator<=>(const Place&) const = default;
  };

  InputSet inputs_of(Node& node) {
    InputSet inputs;
    for (const auto& edge : node.next_edges()) {
      if (edge.is_valid()) unite(inputs, below_.at(edge.function.get()));
    }
    if (!inputs.empty() || parameters_.contains(&node)) return inputs;
    if (node.next_edges().empty()) add(inputs, {&node, 0, {}, {}});
    with_graph_errors([&] {
      for (const auto& data : data_inputs(node)) {
        if (data.has_storage()) add(inputs, place_of(data));
      }
    });
    return inputs;
  }

  static Place place_of(const Tensor& data) {
    return {data.storage().unsafeGetStorageImpl(), data.storage_offset(), data.sizes().vec(),
            data.strides().vec()};
  }

  void add(InputSet& inputs, const Place& place) {
    const auto number = numbers_.try_emplace(place, numbers_.size()).first->second;
    inputs.resize(std::max(inputs.size(), number + 1));
    inputs[number] = true;
  }

  NodeSet parameters_;
  std::map<Place, size_t> numbers_;
  std::unordered_map<const Node*, InputSet> below_;
};

}  // namespace

ExampleGroups example_groups(const Census& network, const ParameterLayout& parameters) {
  const InputsBelow inputs(network, parameters);
  ExampleGroups groups;
  std::map<InputSet, size_t> known;
  for (const auto& output : network.roots) {
    const auto& below = inputs.at(output.function.get());
    const size_t group =
        below.empty() ? groups.count : known.try_emplace(below, groups.count).first->second;
    groups.all_seen = groups.all_seen && !below.empty();
    groups.count = std::max(groups.count, group + 1);
    groups.of_output.push_back(group);
  }
  return groups;
}

}  // namespace natgrad::detail
