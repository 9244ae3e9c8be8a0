#include <fmt/format.h>
#include <natgrad/curvature/block_diagonal.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>

#include <algorithm>

#include "curvature/parameter_lists.h"

namespace natgrad {

using torch::Tensor;

namespace {

/// For each of the [P] entries, whether it is in block k: [P, K].
Tensor masks_of(const ParameterLayout& parameters, const std::vector<int64_t>& blocks) {
  check_block_numbers(parameters, blocks);
  std::vector<Tensor> numbers;
  for (size_t i = 0; i < blocks.size(); ++i) {
    numbers.push_back(torch::full({parameters.tensors()[i].numel()}, blocks[i], torch::kLong));
  }
  return torch::one_hot(torch::cat(numbers)).to(parameters.options());
}

}  // namespace

LinearOperator block_diagonal(const LinearOperator& C, const ParameterLayout& parameters,
                              const std::vector<int64_t>& blocks) {
  const auto masks = masks_of(parameters, blocks);
  return {"block diagonal of the " + C.name(), C.size(), C.options(), [C, masks](const Tensor& v) {
            return C.multiply(masks * v.unsqueeze(1)).mul_(masks).sum(1);
          }};
}

BlockDiagonal& BlockDiagonal::group(std::vector<Tensor> parameters) {
  for (const auto& parameter : parameters) {
    for (const auto& other : groups_) {
      TORCH_CHECK(!contains(other, parameter), "natgrad: a parameter of shape ", parameter.sizes(),
                  " is in two groups of BlockDiagonal; list it once.");
    }
  }
  groups_.push_back(std::move(parameters));
  return *this;
}

CurvatureAt BlockDiagonal::at(const LossGraph& graph) const {
  for (const auto& members : groups_) {
    for (const auto& member : members) {
      check_is_one_of(graph.parameters(), member, "is in a group of BlockDiagonal");
    }
  }
  std::vector<int64_t> blocks;
  auto next = static_cast<int64_t>(groups_.size());
  for (const auto& parameter : graph.parameters().tensors()) {
    const auto group = std::find_if(groups_.begin(), groups_.end(), [&](const auto& members) {
      return contains(members, parameter);
    });
    blocks.push_back(group == groups_.end() ? next++ : group - groups_.begin());
  }
  const auto of = of_->at(graph);
  return {block_diagonal(of.matrix, graph.parameters(), blocks), of.noise};
}

std::string BlockDiagonal::describe() const {
  auto text = fmt::format("BlockDiagonal({})", of_->describe());
  for (const auto& group : groups_) {
    text += fmt::format(".group({} parameters", group.size());
    for (const auto& parameter : group)
      text += fmt::format(" {}", fmt::ptr(parameter.unsafeGetTensorImpl()));
    text += ")";
  }
  return text;
}

std::shared_ptr<const Curvature> BlockDiagonal::clone() const {
  return std::make_shared<BlockDiagonal>(*this);
}

}  // namespace natgrad
