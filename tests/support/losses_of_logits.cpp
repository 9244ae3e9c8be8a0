// Classes, and coins.

#include "support/loss_parts.h"

namespace natgrad::testing::loss_parts {

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

}  // namespace natgrad::testing::loss_parts
