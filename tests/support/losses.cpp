#include "support/losses.h"

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/bernoulli.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/likelihoods/gaussian.h>

#include "support/dense_oracles.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing {
namespace {

namespace F = torch::nn::functional;
using Reduction = at::Reduction::Reduction;
using Loss = std::function<Tensor(const Tensor& z)>;
using Shape = std::vector<int64_t>;

// ---- Data. ----

const Shape kFlat = {kExamples, kOutputs}, kImage = {kExamples, 3, 2}, kHalf = {kExamples, 3};

Tensor labels() { return torch::tensor({0, 2, 5, 2}); }
Tensor image_labels() { return torch::tensor({{0, 2}, {1, 1}, {2, 0}, {1, 2}}); }
Tensor half_labels() { return torch::tensor({2, 0, 1, 1}); }
Tensor uniform(at::IntArrayRef shape, uint64_t seed) {
  return torch::rand(shape, seeded(seed), torch::kDouble);
}
Tensor shares() { return uniform(kFlat, 301).softmax(1); }  // probabilities
Tensor masses() { return 3 * uniform(kFlat, 302) + 0.1; }   // soft targets of any sum
Tensor fractions() { return uniform(kFlat, 303); }          // soft binary targets
Tensor reals() { return randn(kFlat, 304); }
Tensor class_weights() { return uniform({kOutputs}, 305) + 0.5; }
Tensor positive_weights() { return 3 * uniform({kOutputs}, 306) + 0.5; }
Tensor example_weights() { return uniform({kExamples}, 307) + 0.2; }
Tensor element_weights() { return uniform(kFlat, 308) + 0.2; }
Tensor number(double s) { return torch::full({}, s, torch::kDouble); }

// ---- The same losses in elementary operations; z is moderate here. ----

Tensor log_p(const Tensor& z) { return z - z.exp().sum(1, true).log(); }
Tensor surprise(const Tensor& z, const Tensor& y) {
  return -log_p(z).gather(1, y.unsqueeze(1)).squeeze(1);
}
Tensor log_one_plus_exp(const Tensor& z) { return (1 + z.exp()).log(); }
Tensor coins(const Tensor& z, const Tensor& y, const Tensor& positive = number(1)) {
  return positive * y * log_one_plus_exp(-z) + (1 - y) * log_one_plus_exp(z);
}
Tensor squares(const Tensor& z) { return (z - reals()).pow(2); }
Tensor gaussian_surprise(const Tensor& z, double variance) {
  return squares(z) / (2 * variance) + 0.5 * std::log(2 * M_PI * variance);
}

// ---- Losses that LibTorch and natgrad have no name for. ----

Tensor error_of_cubes(const Tensor& z) { return (z.pow(3) - reals()).pow(2).mean(); }
Tensor coupled_logsumexp(const Tensor& z) {
  return z.logsumexp(1).pow(2).mean() + z.logsumexp({0, 1}).exp().log1p();
}
Tensor focal(const Tensor& ce) { return ((1 - (-ce).exp()).pow(2) * ce).mean(); }
Tensor non_separable(const Tensor& a, const Tensor& b) {
  return ((a - b.tanh()).pow(2) + (a * b).exp()).mean() + torch::cat({a, b}, 1).logsumexp({0, 1});
}

// ---- Options. ----

F::CrossEntropyFuncOptions ce_none() {
  return F::CrossEntropyFuncOptions().reduction(torch::kNone);
}
F::CrossEntropyFuncOptions ce_sum() { return F::CrossEntropyFuncOptions().reduction(torch::kSum); }
F::BinaryCrossEntropyWithLogitsFuncOptions bce() { return {}; }
template <class R>
F::MSELossFuncOptions mse(R reduction) {
  return F::MSELossFuncOptions(reduction);
}

// ---- The table. ----

LossCase one(std::string name, Shape shape, Loss loss, Loss reference,
             std::vector<ExpectedTerm> terms = {}) {
  return {std::move(name),
          {std::move(shape)},
          [loss](const Outputs& z) { return loss(z[0]); },
          [reference](const Outputs& z) { return reference(z[0]); },
          std::move(terms)};
}

ExpectedTerm term(const Family& family, const Tensor& s, size_t output = 0) {
  return {output, family, s};
}
ExpectedTerm term(const Family& family, double s, size_t output = 0) {
  return term(family, number(s), output);
}

constexpr double kN = kExamples, kM = kExamples * kOutputs;

std::vector<LossCase> cross_entropies() {
  const auto y = labels();
  const auto w = class_weights(), per_example = example_weights();
  const auto column = [](const Tensor& s) { return s.unsqueeze(1); };
  const auto w_y = w.index_select(0, y);
  const auto kept = torch::tensor({1., 0., 1., 0.}, torch::kDouble);  // label 2 is ignored
  return {
      one(
          "CrossEntropyMean", kFlat, [=](auto& z) { return F::cross_entropy(z, y); },
          [=](auto& z) { return surprise(z, y).mean(); }, {term(categorical(), 1 / kN)}),
      one(
          "CrossEntropySum", kFlat, [=](auto& z) { return F::cross_entropy(z, y, ce_sum()); },
          [=](auto& z) { return surprise(z, y).sum(); }, {term(categorical(), 1)}),
      one(
          "CrossEntropyWeightedExamples", kFlat,
          [=](auto& z) { return (per_example * F::cross_entropy(z, y, ce_none())).sum(); },
          [=](auto& z) { return surprise(z, y).dot(per_example); },
          {term(categorical(), column(per_example))}),
      one(
          "CrossEntropyOfImages", kImage,
          [](auto& z) { return F::cross_entropy(z, image_labels()); },
          [](auto& z) { return surprise(z, image_labels()).mean(); },
          {term(categorical(), 1 / (2 * kN))}),
      one(
          "CrossEntropyUnbatched", {kExamples * kOutputs},
          [](auto& z) { return F::cross_entropy(z, torch::tensor(7)); },
          [](auto& z) { return z.exp().sum().log() - z[7]; }, {term(categorical(), 1)}),
      one(
          "CrossEntropyClassWeights", kFlat,
          [=](auto& z) { return F::cross_entropy(z, y, F::CrossEntropyFuncOptions().weight(w)); },
          [=](auto& z) { return surprise(z, y).dot(w_y) / w_y.sum(); },
          {term(categorical(), column(w_y / w_y.sum()))}),
      one(
          "CrossEntropyIgnoreIndex", kFlat,
          [=](auto& z) {
            return F::cross_entropy(z, y, F::CrossEntropyFuncOptions().ignore_index(2));
          },
          [=](auto& z) { return surprise(z, y).dot(kept) / 2; },
          {term(categorical(), column(kept / 2))}),
      one(
          "CrossEntropyLabelSmoothing", kFlat,
          [=](auto& z) {
            return F::cross_entropy(z, y, F::CrossEntropyFuncOptions().label_smoothing(0.1));
          },
          [=](auto& z) { return 0.9 * surprise(z, y).mean() - 0.1 * log_p(z).mean(); },
          {term(categorical(), 1 / kN)}),
      one(
          "CrossEntropySmoothedClassWeights", kFlat,
          [=](auto& z) {
            return F::cross_entropy(z, y,
                                    F::CrossEntropyFuncOptions().weight(w).label_smoothing(0.1));
          },
          [=](auto& z) {
            const auto smooth = -(log_p(z) * w).sum() / double(kOutputs);
            return (0.9 * surprise(z, y).dot(w_y) + 0.1 * smooth) / w_y.sum();
          },
          {term(categorical(), column((0.9 * w_y + 0.1 * w.mean()) / w_y.sum()))}),
      one(
          "CrossEntropyProbabilities", kFlat, [](auto& z) { return F::cross_entropy(z, shares()); },
          [](auto& z) { return -(shares() * log_p(z)).sum() / kN; }, {term(categorical(), 1 / kN)}),
      one(
          "CrossEntropyUnnormalizedTargets", kFlat,
          [](auto& z) { return F::cross_entropy(z, masses()); },
          [](auto& z) { return -(masses() * log_p(z)).sum() / kN; },
          {term(categorical(), masses().sum(1, true) / kN)}),
      one(
          "NllLossOfLogSoftmax", kFlat,
          [=](auto& z) { return F::nll_loss(F::log_softmax(z, 1), y); },
          [=](auto& z) { return surprise(z, y).mean(); }, {term(categorical(), 1 / kN)}),
      one(
          "NllLossOfLogOfSoftmax", kFlat,
          [=](auto& z) { return F::nll_loss(z.softmax(1).log(), y); },
          [=](auto& z) { return surprise(z, y).mean(); }, {term(categorical(), 1 / kN)}),
      one(
          "LogOfGatheredSoftmax", kFlat,
          [=](auto& z) {
            return -z.softmax(1).gather(1, y.unsqueeze(1)).squeeze(1).log().dot(per_example);
          },
          [=](auto& z) { return surprise(z, y).dot(per_example); },
          {term(categorical(), column(per_example))}),
      one(
          "KlDivergence", kFlat,
          [](auto& z) {
            return F::kl_div(F::log_softmax(z, 1), shares(),
                             F::KLDivFuncOptions().reduction(torch::kBatchMean));
          },
          [](auto& z) { return (shares() * (shares().log() - log_p(z))).sum() / kN; },
          {term(categorical(), 1 / kN)}),
      one(
          "GatherByHand", kFlat,
          [=](auto& z) { return -z.log_softmax(1).gather(1, y.unsqueeze(1)).mean(); },
          [=](auto& z) { return surprise(z, y).mean(); }, {term(categorical(), 1 / kN)}),
      one(
          "LogSoftmaxOfFirstDimension", kFlat,  // the examples lie along dimension 1
          [](auto& z) { return -(z.log_softmax(0) * masses()).sum(); },
          [](auto& z) { return -(log_p(z.t()).t() * masses()).sum(); },
          {term(categorical(), masses().sum(0, true))}),
  };
}

std::vector<LossCase> binary_cross_entropies() {
  const auto y = fractions();
  const auto positive = positive_weights(), w = element_weights();
  const auto factor = 1 + (positive - 1) * y;
  return {
      one(
          "BinaryCrossEntropyMean", kFlat,
          [=](auto& z) { return F::binary_cross_entropy_with_logits(z, y); },
          [=](auto& z) { return coins(z, y).mean(); }, {term(bernoulli(), 1 / kM)}),
      one(
          "BinaryCrossEntropySum", kFlat,
          [=](auto& z) {
            return F::binary_cross_entropy_with_logits(z, y, bce().reduction(torch::kSum));
          },
          [=](auto& z) { return coins(z, y).sum(); }, {term(bernoulli(), 1)}),
      one(
          "BinaryCrossEntropyWeightedElements", kFlat,
          [=](auto& z) {
            const auto none = bce().reduction(torch::kNone);
            return (w * F::binary_cross_entropy_with_logits(z, y, none)).sum();
          },
          [=](auto& z) { return (w * coins(z, y)).sum(); }, {term(bernoulli(), w)}),
      one(
          "BinaryCrossEntropyWeight", kFlat,
          [=](auto& z) { return F::binary_cross_entropy_with_logits(z, y, bce().weight(w)); },
          [=](auto& z) { return (w * coins(z, y)).mean(); }, {term(bernoulli(), w / kM)}),
      one(
          "BinaryCrossEntropyPositiveWeight", kFlat,
          [=](auto& z) {
            return F::binary_cross_entropy_with_logits(z, y, bce().pos_weight(positive));
          },
          [=](auto& z) { return coins(z, y, positive).mean(); }, {term(bernoulli(), factor / kM)}),
      one(
          "BinaryCrossEntropyBothWeights", kFlat,
          [=](auto& z) {
            return F::binary_cross_entropy_with_logits(
                z, y, bce().pos_weight(positive).weight(w[0]).reduction(torch::kSum));
          },
          [=](auto& z) { return (w[0] * coins(z, y, positive)).sum(); },
          {term(bernoulli(), factor * w[0])}),
  };
}

std::vector<LossCase> losses_of_sigmoids() {
  const auto y = fractions(), w = element_weights();
  const auto per_class = class_weights();
  using Options = F::BinaryCrossEntropyFuncOptions;
  return {
      one(
          "BinaryCrossEntropyOfSigmoid", kFlat,
          [=](auto& z) { return F::binary_cross_entropy(z.sigmoid(), y); },
          [=](auto& z) { return coins(z, y).mean(); }, {term(bernoulli(), 1 / kM)}),
      one(
          "BinaryCrossEntropyOfViewedSigmoid", kFlat,
          [=](auto& z) {
            return F::binary_cross_entropy(z.sigmoid().t().reshape(-1), y.t().reshape(-1),
                                           Options().reduction(torch::kSum));
          },
          [=](auto& z) { return coins(z, y).sum(); }, {term(bernoulli(), 1)}),
      one(
          "BinaryCrossEntropyOfSigmoidWeight", kFlat,
          [=](auto& z) {
            return F::binary_cross_entropy(z.sigmoid(), y,
                                           Options().weight(w).reduction(torch::kNone))
                .mean();
          },
          [=](auto& z) { return (w * coins(z, y)).mean(); }, {term(bernoulli(), w / kM)}),
      one(
          "MultilabelSoftMargin", kFlat,
          [=](auto& z) { return F::multilabel_soft_margin_loss(z, y); },
          [=](auto& z) { return coins(z, y).mean(); }, {term(bernoulli(), 1 / kM)}),
      one(
          "MultilabelSoftMarginWeight", kFlat,
          [=](auto& z) {
            return F::multilabel_soft_margin_loss(
                z, y,
                F::MultilabelSoftMarginLossFuncOptions().weight(per_class).reduction(torch::kSum));
          },
          [=](auto& z) { return (per_class * coins(z, y)).sum() / double(kOutputs); },
          {term(bernoulli(), per_class / double(kOutputs))}),
      one(
          "LogSigmoidByHand", kFlat, [=](auto& z) { return -(w * torch::log_sigmoid(z)).sum(); },
          [=](auto& z) { return (w * log_one_plus_exp(-z)).sum(); }, {term(bernoulli(), w)}),
  };
}

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

}  // namespace

const std::vector<LossCase>& losses() {
  static const std::vector<LossCase> table = [] {
    std::vector<LossCase> all;
    for (const auto& part :
         {cross_entropies(), binary_cross_entropies(), losses_of_sigmoids(), location_losses(),
          counts(), squared_errors(), named_likelihoods(), own_losses(), sums_of_terms()}) {
      all.insert(all.end(), part.begin(), part.end());
    }
    return all;
  }();
  return table;
}

}  // namespace natgrad::testing
