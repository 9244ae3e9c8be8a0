#pragma once

#include "fisher_ggn/family.h"

namespace examples {

// The parts of the table.

std::vector<Family> discrete_families();
std::vector<Family> gaussian_families();
std::vector<Family> positive_families();
std::vector<Family> location_families();
/// Exponential families and losses of a user's own, and products of families.
std::vector<Family> families_of_ones_own();

// The words they are written in.

/// A likelihood of the library with these further arguments.
template <class Likelihood, class... Arguments>
Family::Make of(Arguments... arguments) {
  return
      [=](const torch::Tensor& z) { return std::make_shared<const Likelihood>(z, arguments...); };
}

torch::Tensor first_half(const torch::Tensor& z);
torch::Tensor second_half(const torch::Tensor& z);
/// `map` on the second half of dimension 1.
Family::Map on_second_half(Family::Map map);
/// Any number to one below `limit`: log σ, and not -softplus, since LibTorch's softplus is exactly
/// linear above 20, where route (d) would miss its second derivative.
Family::Map below(double limit);
Family::Map above(double limit);
/// Within `reach` of the centre.
Family::Map within(double centre, double reach);

/// These values for each example.
std::function<Support(const torch::Tensor& z)> each_of(const torch::Tensor& values);
/// 0, 1, ..., `largest`, [n, 1].
torch::Tensor counts_up_to(int64_t largest);
/// Beyond, a count of rate up to e² has a chance below 1e-20; the network keeps z within (-2, 2).
constexpr int64_t kManyCounts = 45;

}  // namespace examples
