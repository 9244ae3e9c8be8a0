#include "preconditioners/kronecker_state.h"

#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

namespace {

constexpr int64_t kColumns = 3;  // weight, bias or -1, whether W is [in, out]

Tensor indices_of(const KroneckerFactors& factors) {
  std::vector<int64_t> numbers;
  for (const auto& block : factors.blocks) {
    numbers.push_back(static_cast<int64_t>(block.weight));
    numbers.push_back(block.bias ? static_cast<int64_t>(*block.bias) : -1);
    numbers.push_back(block.is_input_by_output ? 1 : 0);
  }
  return torch::tensor(numbers, torch::kLong).view({-1, kColumns});
}

}  // namespace

void append_factors(std::vector<Tensor>& state, const KroneckerFactors& factors) {
  state.push_back(indices_of(factors));
  state.push_back(factors.diagonal);
  for (const auto& block : factors.blocks) {
    state.push_back(block.activations);
    state.push_back(block.gradients);
  }
}

void FactorReader::check(bool fits) const {
  TORCH_CHECK(fits, "natgrad: this is not a state of ", owner_,
              "; load what its state() gave, in the same version.");
}

Tensor FactorReader::next() {
  check(place_ < state_.size() && state_[place_].defined());
  return state_[place_++];
}

std::vector<double> FactorReader::next_numbers(int64_t count) {
  const auto numbers = next().to(torch::kCPU, torch::kDouble).contiguous();
  check(numbers.numel() == count);
  const auto* begin = numbers.data_ptr<double>();
  return {begin, begin + count};
}

Tensor FactorReader::next_shapes_if_there() {
  const bool is_there = place_ < state_.size() && state_[place_].dim() == 1;  // factors: [n, 3]
  return is_there ? next().cpu() : Tensor();
}

KroneckerFactors FactorReader::next_factors() {
  const auto indices = next().cpu();
  check(indices.scalar_type() == torch::kLong && indices.dim() == 2 && indices.size(1) == kColumns);
  KroneckerFactors factors;
  factors.diagonal = next();
  for (int64_t k = 0; k < indices.size(0); ++k) {
    const auto* row = indices[k].data_ptr<int64_t>();
    KroneckerBlock block;
    block.weight = static_cast<size_t>(row[0]);
    if (row[1] >= 0) block.bias = static_cast<size_t>(row[1]);
    block.is_input_by_output = row[2] != 0;
    block.activations = next();
    block.gradients = next();
    check(block.activations.dim() == 3 && block.gradients.dim() == 3);
    factors.blocks.push_back(std::move(block));
  }
  return factors;
}

}  // namespace natgrad::detail
