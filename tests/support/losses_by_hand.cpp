// Losses that users write in elementary operations.

#include "support/loss_parts.h"

namespace natgrad::testing::loss_parts {
namespace {

// Small enough that what it does to second derivatives is below the tests' rounding.
constexpr double kEpsilon = 1e-14;
// Beyond all probabilities here: only then is the loss the likelihood's.
constexpr double kClamp = 1e-7;

Tensor of_label(const Tensor& z, const Tensor& y) { return z.gather(1, y.unsqueeze(1)).squeeze(1); }

Tensor magnitude(const Tensor& z) { return torch::where(z > 0, z, -z); }

/// KL(N(μ, e^v) || N(0, 1)) of each example.
Tensor distance_from_standard(const Tensor& mu, const Tensor& log_variance) {
  return (mu * mu + log_variance.exp() - log_variance - 1).sum(1) / 2;
}

}  // namespace

std::vector<LossCase> squares_by_hand() {
  const auto y = reals(), w = element_weights();
  return {
      one(
          "SquareByPow", kFlat, [=](auto& z) { return (z - y).pow(2).mean(); },
          [](auto& z) { return squares(z).mean(); }, {term(gaussian(), 2 / kM)}),
      one(
          "SquareAsAProduct", kFlat,
          [=](auto& z) {
            const auto e = z - y;
            return (e * e).sum();
          },
          [](auto& z) { return squares(z).sum(); }, {term(gaussian(), 2)}),
      one(
          "SquareWeightedElements", kFlat, [=](auto& z) { return (w * (z - y).square()).sum(); },
          [=](auto& z) { return (w * squares(z)).sum(); }, {term(gaussian(), 2 * w)}),
      one(
          "SquareTargetFirst", kFlat, [=](auto& z) { return 0.5 * (y - z).square().sum(1).mean(); },
          [](auto& z) { return squares(z).sum() / (2 * kN); }, {term(gaussian(), 1 / kN)}),
      one(
          "SquareOfTheOutputs", kFlat, [](auto& z) { return z.square().mean(); },
          [](auto& z) { return (z * z).mean(); }, {term(gaussian(), 2 / kM)}),
      one(
          "SquareBesideALinearPart", kFlat, [=](auto& z) { return (0.5 * (z * z) - y * z).mean(); },
          [=](auto& z) { return (squares(z) - y * y).mean() / 2; }, {term(gaussian(), 1 / kM)}),
      one(
          "AbsoluteOutputs", kFlat, [=](auto& z) { return (w * z.abs()).sum(); },
          [=](auto& z) { return (w * magnitude(z)).sum(); }, {term(laplace(), w)}),
  };
}

std::vector<LossCase> classes_by_hand() {
  const auto y = labels();
  const auto per_example = example_weights();
  return {
      one(
          "LogsumexpLessGather", kFlat,
          [=](auto& z) { return (z.logsumexp(1) - of_label(z, y)).mean(); },
          [=](auto& z) { return surprise(z, y).mean(); }, {term(categorical(), 1 / kN)}),
      one(
          "LogsumexpKeepingItsDimension", kFlat,
          [=](auto& z) {
            const auto each = z.logsumexp(1, true) - z.gather(1, y.unsqueeze(1));
            return each.squeeze(1).dot(per_example);
          },
          [=](auto& z) { return surprise(z, y).dot(per_example); },
          {term(categorical(), per_example.unsqueeze(1))}),
      one(
          "LogsumexpOfImages", kImage,
          [](auto& z) { return (z.logsumexp(1) - of_label(z, image_labels())).mean(); },
          [](auto& z) { return surprise(z, image_labels()).mean(); },
          {term(categorical(), 1 / (2 * kN))}),
      one(
          "LogsumexpWithSoftTargets", kFlat,
          [](auto& z) { return -(z * shares()).sum(1).mean() + z.logsumexp(1).mean(); },
          [](auto& z) { return -(shares() * log_p(z)).sum() / kN; }, {term(categorical(), 1 / kN)}),
  };
}

std::vector<LossCase> coins_by_hand() {
  const auto y = fractions(), w = element_weights();
  const auto surprise_of = [](const Tensor& p, const Tensor& y) {
    return -(y * p.log() + (1 - y) * (1 - p).log());
  };
  return {
      one(
          "SoftplusLessLinear", kFlat, [=](auto& z) { return (torch::softplus(z) - y * z).mean(); },
          [=](auto& z) { return coins(z, y).mean(); }, {term(bernoulli(), 1 / kM)}),
      one(
          "SoftplusOfBothSigns", kFlat,
          [=](auto& z) {
            return (w * (y * torch::softplus(-z) + (1 - y) * torch::softplus(z))).sum();
          },
          [=](auto& z) { return (w * coins(z, y)).sum(); }, {term(bernoulli(), w)}),
      one(
          "LogOfSigmoid", kFlat, [=](auto& z) { return surprise_of(z.sigmoid(), y).mean(); },
          [=](auto& z) { return coins(z, y).mean(); }, {term(bernoulli(), 1 / kM)}),
      one(
          "LogOfSigmoidWithEpsilon", kFlat,
          [=](auto& z) {
            const auto p = z.sigmoid();
            return -(y * (p + kEpsilon).log() + (1 - y) * (1 - p + kEpsilon).log()).mean();
          },
          [=](auto& z) { return coins(z, y).mean(); }, {term(bernoulli(), 1 / kM)}),
      one(
          "LogOfClampedSigmoid", kFlat,
          [=](auto& z) { return surprise_of(z.sigmoid().clamp(kClamp, 1 - kClamp), y).sum(); },
          [=](auto& z) { return coins(z, y).sum(); }, {term(bernoulli(), 1)}),
  };
}

std::vector<LossCase> counts_by_hand() {
  const auto y = torch::floor(4 * fractions()), w = element_weights();
  const auto surprise = [=](const Tensor& z) { return z.exp() - y * z; };
  return {
      one(
          "ExpBehindItsLinearPart", kFlat, [=](auto& z) { return (z.exp() + -y * z).mean(); },
          [=](auto& z) { return surprise(z).mean(); }, {term(poisson(), 1 / kM)}),
      one(
          "ExpSummedApart", kFlat, [=](auto& z) { return z.exp().sum() - (z * y).sum(); },
          [=](auto& z) { return surprise(z).sum(); }, {term(poisson(), 1)}),
      one(
          "ExpWeightedElements", kFlat,
          [=](auto& z) { return (w * z.exp()).mean() - (w * y * z).mean(); },
          [=](auto& z) { return (w * surprise(z)).mean(); }, {term(poisson(), w / kM)}),
      {"DivergenceOfAGaussianEncoder",
       {kHalf, kHalf},
       [](auto& z) { return -0.5 * (1 + z[1] - z[0].pow(2) - z[1].exp()).sum(1).mean(); },
       [](auto& z) { return distance_from_standard(z[0], z[1]).mean(); },
       {term(gaussian(), 1 / kN), term(poisson(), 0.5 / kN, 1)}},
  };
}

}  // namespace natgrad::testing::loss_parts
