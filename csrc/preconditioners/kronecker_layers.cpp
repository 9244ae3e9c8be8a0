#include "preconditioners/kronecker_layers.h"

#include <algorithm>
#include <map>

namespace natgrad::detail {
namespace {

bool is_transposed_convolution(const Layer& layer) { return layer.geometry.transposed; }

/// Whether the weight's memory means the same to both.
bool are_alike(const Layer& a, const Layer& b) {
  return a.kind == b.kind && a.is_input_by_output == b.is_input_by_output &&
         a.geometry.groups == b.geometry.groups && a.geometry.transposed == b.geometry.transposed;
}

/// The bias that all of these layers have and no other layer has.
std::optional<size_t> common_bias(const std::vector<size_t>& members,
                                  const std::vector<Layer>& layers) {
  const auto bias = layers[members.front()].bias;
  if (!bias || is_transposed_convolution(layers[members.front()])) return std::nullopt;
  const bool have_all =
      std::all_of(members.begin(), members.end(), [&](size_t k) { return layers[k].bias == bias; });
  const auto users = std::count_if(layers.begin(), layers.end(),
                                   [&](const Layer& layer) { return layer.bias == bias; });
  if (!have_all || static_cast<size_t>(users) != members.size()) return std::nullopt;
  return bias;
}

PlannedBlock plan_block(size_t weight, std::vector<size_t> members,
                        const std::vector<Layer>& layers, const ParameterLayout& parameters) {
  const auto& layer = layers[members.front()];
  const auto& w = parameters.tensors()[weight];
  PlannedBlock plan;
  plan.block.weight = weight;
  plan.block.bias = common_bias(members, layers);
  plan.block.is_input_by_output = layer.is_input_by_output || is_transposed_convolution(layer);
  plan.layers = std::move(members);
  plan.groups = layer.geometry.groups;
  const int64_t left = w.size(0) / plan.groups, right = w.numel() / w.size(0);
  plan.activations = (plan.block.is_input_by_output ? left : right) + (plan.block.bias ? 1 : 0);
  plan.gradients = plan.block.is_input_by_output ? right : left;
  return plan;
}

}  // namespace

std::vector<PlannedBlock> plan_blocks(const std::vector<Layer>& layers,
                                      const ParameterLayout& parameters, int64_t largest) {
  std::map<size_t, std::vector<size_t>> users;  // by weight
  for (size_t k = 0; k < layers.size(); ++k) {
    if (layers[k].weight) users[*layers[k].weight].push_back(k);
  }
  std::vector<PlannedBlock> plans;
  for (auto& [weight, members] : users) {
    const auto& first = layers[members.front()];
    const bool agree = std::all_of(members.begin(), members.end(),
                                   [&](size_t k) { return are_alike(layers[k], first); });
    const bool is_table = first.kind == Layer::Kind::Embedding;
    if (is_table || !agree || parameters.tensors()[weight].numel() == 0) continue;
    auto plan = plan_block(weight, std::move(members), layers, parameters);
    if (std::max(plan.activations, plan.gradients) <= largest) plans.push_back(std::move(plan));
  }
  return plans;
}

}  // namespace natgrad::detail
