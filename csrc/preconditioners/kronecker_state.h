#pragma once

#include "detail.h"

#include <natgrad/preconditioners/kronecker_factors.h>

#include <string>
#include <vector>

namespace natgrad::detail {

/// Appends tensors from which `FactorReader` makes the factors again.
void append_factors(std::vector<torch::Tensor>& state, const KroneckerFactors& factors);

/// Reads a state tensor by tensor. Throws `c10::Error`, naming `owner`, where it does not fit.
class FactorReader {
 public:
  FactorReader(std::string owner, const std::vector<torch::Tensor>& state)
      : owner_(std::move(owner)), state_(state) {}

  torch::Tensor next();
  /// The next tensor in double, with so many numbers.
  std::vector<double> next_numbers(int64_t count);
  /// Shapes of parameters, [n]; undefined in a state that does not tell them.
  torch::Tensor next_shapes_if_there();
  KroneckerFactors next_factors();
  void check_end() const { check(place_ == state_.size()); }

 private:
  void check(bool fits) const;

  std::string owner_;
  const std::vector<torch::Tensor>& state_;
  size_t place_ = 0;
};

}  // namespace natgrad::detail
