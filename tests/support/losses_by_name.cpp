// Losses that name their likelihood, losses of the user's own, and sums of terms.

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>

#include "support/loss_parts.h"

namespace natgrad::testing::loss_parts {

std::vector<LossCase> named_likelihoods() {
  const auto y = labels();
  const auto per_example = example_weights(), w = element_weights();
  const auto c = [](const Tensor& z) { return Categorical(z); };
  const auto b = [](const Tensor& z) { return Bernoulli(z); };
  const auto g = [](const Tensor& z) { return Gaussian(z, 0.3); };
  return {
      one(
          "NllCategoricalMean", kFlat, [=](auto& z) { return nll(c(z), y); },
          [=](auto& z) { return surprise(z, y).mean(); }, {term(categorical(), 1 / kN)}),
      one(
          "NllCategoricalSum", kFlat, [=](auto& z) { return nll(c(z), y, Reduction::Sum); },
          [=](auto& z) { return surprise(z, y).sum(); }, {term(categorical(), 1)}),
      one(
          "NllCategoricalWeighted", kFlat,
          [=](auto& z) { return (per_example * nll(c(z), y, Reduction::None)).sum(); },
          [=](auto& z) { return surprise(z, y).dot(per_example); },
          {term(categorical(), per_example.unsqueeze(1))}),
      one(
          "NllCategoricalOfImages", kImage, [=](auto& z) { return nll(c(z), image_labels()); },
          [](auto& z) { return surprise(z, image_labels()).sum() / kN; },
          {term(categorical(), 1 / kN)}),
      one(
          "NllBernoulliMean", kFlat, [=](auto& z) { return nll(b(z), fractions()); },
          [](auto& z) { return coins(z, fractions()).sum() / kN; }, {term(bernoulli(), 1 / kN)}),
      one(
          "NllBernoulliSum", kFlat, [=](auto& z) { return nll(b(z), fractions(), Reduction::Sum); },
          [](auto& z) { return coins(z, fractions()).sum(); }, {term(bernoulli(), 1)}),
      one(
          "NllBernoulliWeighted", kFlat,
          [=](auto& z) { return (w * nll(b(z), fractions(), Reduction::None)).sum(); },
          [=](auto& z) { return (w * coins(z, fractions())).sum(); }, {term(bernoulli(), w)}),
      one(
          "NllGaussianMean", kFlat, [=](auto& z) { return nll(g(z), reals()); },
          [](auto& z) { return gaussian_surprise(z, 0.3).sum() / kN; },
          {term(gaussian(0.3), 1 / kN)}),
      one(
          "NllGaussianSum", kFlat, [=](auto& z) { return nll(g(z), reals(), Reduction::Sum); },
          [](auto& z) { return gaussian_surprise(z, 0.3).sum(); }, {term(gaussian(0.3), 1)}),
      one(
          "NllGaussianWeighted", kFlat,
          [=](auto& z) { return (w * nll(g(z), reals(), Reduction::None)).sum(); },
          [=](auto& z) { return (w * gaussian_surprise(z, 0.3)).sum(); }, {term(gaussian(0.3), w)}),
  };
}

std::vector<LossCase> own_losses() {
  const auto y = labels();
  return {
      one(
          "OwnErrorOfCubes", kFlat, [](auto& z) { return error_of_cubes(outputs(z)); },
          error_of_cubes),
      one(
          "OwnCoupledLogsumexp", kFlat, [](auto& z) { return coupled_logsumexp(outputs(z)); },
          coupled_logsumexp),
      one(
          "OwnFocalLoss", kFlat,
          [=](auto& z) { return focal(F::cross_entropy(outputs(z), y, ce_none())); },
          [=](auto& z) { return focal(surprise(z, y)); }),
      one(
          "OwnLogOfLoss", kFlat, [=](auto& z) { return F::mse_loss(outputs(z), reals()).log(); },
          [](auto& z) { return squares(z).mean().log(); }),
      one(
          "OwnLinearLoss", kFlat, [](auto& z) { return (outputs(z) * reals()).sum(); },
          [](auto& z) { return (z * reals()).sum(); }),
      one(
          "OwnProbabilitiesByHand", kFlat,
          [=](auto& z) { return F::nll_loss(outputs(z).softmax(1).log(), y); },
          [=](auto& z) { return surprise(z, y).mean(); }),
  };
}

/// Two heads of three columns each, or one z under several terms.
std::vector<LossCase> sums_of_terms() {
  const auto y = half_labels();
  const auto halves = std::vector<Shape>{kHalf, kHalf};
  const auto targets = reals().narrow(1, 0, 3).clone();
  const auto binary = fractions().narrow(1, 0, 3).clone();
  const auto squared = [=](const Tensor& z) { return (z - targets).pow(2); };
  return {
      {"TwoTermsOnOneOutput",
       {kFlat},
       [](auto& z) {
         return F::cross_entropy(z[0], labels()) +
                0.5 * F::binary_cross_entropy_with_logits(z[0], fractions());
       },
       [](auto& z) {
         return surprise(z[0], labels()).mean() + 0.5 * coins(z[0], fractions()).mean();
       },
       {term(categorical(), 1 / kN), term(bernoulli(), 0.5 / kM)}},
      {"TwoLabelsForOneOutput",
       {kFlat},
       [](auto& z) {
         return F::cross_entropy(z[0], labels()) + 2 * F::cross_entropy(z[0], labels().flip(0));
       },
       [](auto& z) {
         return surprise(z[0], labels()).mean() + 2 * surprise(z[0], labels().flip(0)).mean();
       },
       {term(categorical(), 3 / kN)}},
      {"OneLogSoftmaxForTwoLabels",
       {kFlat},
       [](auto& z) {
         const auto log_p = z[0].log_softmax(1);
         return F::nll_loss(log_p, labels()) + 2 * F::nll_loss(log_p, labels().flip(0));
       },
       [](auto& z) {
         return surprise(z[0], labels()).mean() + 2 * surprise(z[0], labels().flip(0)).mean();
       },
       {term(categorical(), 3 / kN)}},
      {"HeadsOfTwoFamilies",
       halves,
       [=](auto& z) {
         return F::cross_entropy(z[0], y) + 3 * F::binary_cross_entropy_with_logits(z[1], binary);
       },
       [=](auto& z) { return surprise(z[0], y).mean() + 3 * coins(z[1], binary).mean(); },
       {term(categorical(), 1 / kN), term(bernoulli(), 3 / (kM / 2), 1)}},
      {"HeadsOfOneFamily",
       halves,
       [=](auto& z) { return 0.25 * F::mse_loss(z[0], targets) + F::mse_loss(targets, z[1]); },
       [=](auto& z) { return 0.25 * squared(z[0]).mean() + squared(z[1]).mean(); },
       {term(gaussian(), 1 / kM), term(gaussian(), 4 / kM, 1)}},
      {"HeadsOfMixedSpelling",
       halves,
       [=](auto& z) {
         return nll(Gaussian(z[0], 0.3), targets) + F::cross_entropy(z[1], y, ce_sum()) / 8;
       },
       [=](auto& z) {
         const auto constant = 3 * 0.5 * std::log(2 * M_PI * 0.3);
         return squared(z[0]).sum() / (0.6 * kN) + constant + surprise(z[1], y).sum() / 8;
       },
       {term(gaussian(0.3), 1 / kN), term(categorical(), 1. / 8, 1)}},
      {"OwnLossOfTwoOutputs",
       halves,
       [](auto& z) { return non_separable(outputs(z[0]), outputs(z[1])); },
       [](auto& z) { return non_separable(z[0], z[1]); },
       {}},
      {"OwnLossBesideALikelihood",
       halves,
       [=](auto& z) { return F::cross_entropy(z[0], y) + outputs(z[1]).exp().mean(); },
       [=](auto& z) { return surprise(z[0], y).mean() + z[1].exp().mean(); },
       {}},
  };
}

}  // namespace natgrad::testing::loss_parts
