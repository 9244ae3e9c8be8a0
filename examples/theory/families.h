#pragma once

#include <natgrad/likelihoods/likelihood.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "theory/problems.h"

namespace examples::theory {

/// A family of distributions with something of the digits that it can be the distribution of.
struct Family {
  std::string name, parameters;
  /// Whether z is, up to an affine map, the natural parameter of an exponential family: what theory
  /// needs for -∇²_z log r = F_R.
  bool is_natural;
  int64_t width;  ///< of the last layer
  std::function<std::shared_ptr<const natgrad::Likelihood>(const torch::Tensor& last_layer)> at;
  torch::Tensor targets;
};

/// Those of the library, one of a user's own, and one loss as a density.
std::vector<Family> families_of_digits(const Digits& digits);

}  // namespace examples::theory
