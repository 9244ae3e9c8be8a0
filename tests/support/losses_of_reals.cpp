// Locations, counts, squares.

#include "support/loss_parts.h"

namespace natgrad::testing::loss_parts {

std::vector<LossCase> location_losses() {
  const auto y = reals(), w = element_weights();
  const auto huber_of = [](const Tensor& r, double delta) {
    return torch::where(r.abs() <= delta, r.pow(2) / 2, delta * (r.abs() - delta / 2));
  };
  using Huber = F::HuberLossFuncOptions;
  using Smooth = F::SmoothL1LossFuncOptions;
  return {
      one(
          "HuberMean", kFlat, [=](auto& z) { return F::huber_loss(z, y, Huber().delta(0.7)); },
          [=](auto& z) { return huber_of(z - y, 0.7).mean(); }, {term(huber(0.7), 1 / kM)}),
      one(
          "HuberTargetFirst", kFlat,
          [=](auto& z) { return F::huber_loss(y, z, Huber().reduction(torch::kSum)); },
          [=](auto& z) { return huber_of(z - y, 1).sum(); }, {term(huber(1), 1)}),
      one(
          "HuberWeightedElements", kFlat,
          [=](auto& z) {
            return (w * F::huber_loss(z, y, Huber().delta(2).reduction(torch::kNone))).sum();
          },
          [=](auto& z) { return (w * huber_of(z - y, 2)).sum(); }, {term(huber(2), w)}),
      one(
          "SmoothL1", kFlat, [=](auto& z) { return F::smooth_l1_loss(z, y, Smooth().beta(0.5)); },
          [=](auto& z) { return huber_of(z - y, 0.5).mean() / 0.5; },
          {term(huber(std::sqrt(0.5), std::sqrt(0.5)), 1 / kM)}),
      one(
          "SmoothL1WithoutCorner", kFlat,
          [=](auto& z) { return F::smooth_l1_loss(z, y, Smooth().beta(0)); },
          [=](auto& z) { return (z - y).abs().mean(); }, {term(laplace(), 1 / kM)}),
      one(
          "L1Mean", kFlat, [=](auto& z) { return F::l1_loss(z, y); },
          [=](auto& z) { return (z - y).abs().mean(); }, {term(laplace(), 1 / kM)}),
      one(
          "L1TargetFirst", kFlat,
          [=](auto& z) { return F::l1_loss(y, z, F::L1LossFuncOptions().reduction(torch::kSum)); },
          [=](auto& z) { return (z - y).abs().sum(); }, {term(laplace(), 1)}),
  };
}

std::vector<LossCase> counts() {
  const auto y = torch::floor(4 * fractions()), w = element_weights();
  const auto surprise = [=](const Tensor& z) { return z.exp() - y * z; };
  using Options = F::PoissonNLLLossFuncOptions;
  return {
      one(
          "PoissonNll", kFlat, [=](auto& z) { return F::poisson_nll_loss(z, y); },
          [=](auto& z) { return surprise(z).mean(); }, {term(poisson(), 1 / kM)}),
      one(
          "PoissonNllFull", kFlat,
          [=](auto& z) {
            return F::poisson_nll_loss(z, y, Options().full(true).reduction(torch::kSum));
          },
          [=](auto& z) {
            const auto stirling = y * y.log() - y + 0.5 * (2 * M_PI * y).log();
            return surprise(z).sum() + torch::where(y > 1, stirling, torch::zeros_like(y)).sum();
          },
          {term(poisson(), 1)}),
      one(
          "PoissonNllWeightedElements", kFlat,
          [=](auto& z) {
            return (w * F::poisson_nll_loss(z, y, Options().reduction(torch::kNone))).sum();
          },
          [=](auto& z) { return (w * surprise(z)).sum(); }, {term(poisson(), w)}),
  };
}

std::vector<LossCase> squared_errors() {
  const auto y = reals(), w = element_weights();
  return {
      one(
          "MseMean", kFlat, [=](auto& z) { return F::mse_loss(z, y); },
          [](auto& z) { return squares(z).mean(); }, {term(gaussian(), 2 / kM)}),
      one(
          "MseSum", kFlat, [=](auto& z) { return F::mse_loss(z, y, mse(torch::kSum)); },
          [](auto& z) { return squares(z).sum(); }, {term(gaussian(), 2)}),
      one(
          "MseWeightedElements", kFlat,
          [=](auto& z) { return (w * F::mse_loss(z, y, mse(torch::kNone))).sum(); },
          [=](auto& z) { return (w * squares(z)).sum(); }, {term(gaussian(), 2 * w)}),
      one(
          "MseTargetFirst", kFlat, [=](auto& z) { return F::mse_loss(y, z); },
          [](auto& z) { return squares(z).mean(); }, {term(gaussian(), 2 / kM)}),
      one(
          "MseScaled", kFlat, [=](auto& z) { return F::mse_loss(z, y) * 7 - 3; },
          [](auto& z) { return 7 * squares(z).mean() - 3; }, {term(gaussian(), 14 / kM)}),
  };
}

}  // namespace natgrad::testing::loss_parts
