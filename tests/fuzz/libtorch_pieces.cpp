// Losses of LibTorch, which natgrad reads.

#include <torch/torch.h>

#include "fuzz/pieces.h"
#include "support/losses.h"

namespace natgrad::testing::fuzz {

namespace F = torch::nn::functional;

namespace {

using W = Workshop;
using Zs = std::vector<Tensor>;

/// A term that is written for leaves as it is for the network.
template <class Loss>
Made as_written(const Tensor& z, Family family, Loss loss) {
  Term term{{z}, [loss](const Zs& zs) { return loss(zs[0]); }, family};
  return {loss(z), std::move(term)};
}

template <class Options>
Options with_reduction(Options options, uint64_t k) {
  if (k % 3 == 0) options.reduction(torch::kMean);
  if (k % 3 == 1) options.reduction(torch::kSum);
  if (k % 3 == 2) options.reduction(torch::kNone);
  return options;
}

/// A loss of elements, if it was not reduced, reduced by hand.
Tensor to_number(const W& w, const Tensor& loss, uint64_t k) {
  return loss.dim() == 0 ? loss : reduced(w, loss, k / 3);
}

Made cross_entropy(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto classes = z.size(1);
  auto y = w.classes({z.size(0)}, classes, k);
  auto options = with_reduction(F::CrossEntropyFuncOptions(), k);
  if (k / 3 % 3 == 1) options.weight(w.positive({classes}, k));
  if (k / 9 % 3 == 1 && z.size(0) > 1) y[0] = -100;  // ignored
  if (k / 27 % 3 == 1) options.label_smoothing(0.1);
  return as_written(z, Family::Categorical, [=](const Tensor& t) {
    return to_number(w, F::cross_entropy(t, y, options), k);
  });
}

Made cross_entropy_of_positions(W& w, const Tensor& h, uint64_t k) {
  const auto z = F::linear(h, w.parameter({4, h.size(1)}, k)).view({h.size(0), 2, 2});
  const auto y = w.classes({z.size(0), 2}, 2, k);
  return as_written(z, Family::Categorical, [=](const Tensor& t) {
    return to_number(w, F::cross_entropy(t, y, with_reduction(F::CrossEntropyFuncOptions(), k)), k);
  });
}

Made soft_cross_entropy(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto p = w.constant(z.sizes(), k).softmax(1);
  return as_written(z, Family::Categorical, [=](const Tensor& t) {
    return to_number(w, F::cross_entropy(t, p, with_reduction(F::CrossEntropyFuncOptions(), k)), k);
  });
}

Made nll_loss(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto y = w.classes({z.size(0)}, z.size(1), k);
  const bool by_log = k / 5 % 2 == 1;
  return as_written(z, Family::Categorical, [=](const Tensor& t) {
    const auto log_p = by_log ? t.softmax(1).log() : t.log_softmax(1);
    return to_number(w, F::nll_loss(log_p, y, with_reduction(F::NLLLossFuncOptions(), k)), k);
  });
}

Made kl_div(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto p = w.constant(z.sizes(), k).softmax(1);
  return as_written(z, Family::Categorical, [=](const Tensor& t) {
    return F::kl_div(t.log_softmax(1), p, F::KLDivFuncOptions().reduction(torch::kBatchMean));
  });
}

Made bce_with_logits(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto y = (w.constant(z.sizes(), k) > 0).to(torch::kDouble);
  auto options = with_reduction(F::BinaryCrossEntropyWithLogitsFuncOptions(), k);
  if (k / 3 % 2 == 1) options.weight(w.positive(z.sizes(), k));
  if (k / 6 % 2 == 1) options.pos_weight(w.positive({z.size(1)}, k + 1));
  return as_written(z, Family::Bernoulli, [=](const Tensor& t) {
    return to_number(w, F::binary_cross_entropy_with_logits(t, y, options), k);
  });
}

/// LibTorch's own derivative of it is off by an epsilon: the reference is of logits.
Made bce_of_sigmoid(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto y = w.constant(z.sizes(), k).sigmoid();
  const auto plain = [=](const Zs& zs) {
    const auto options = with_reduction(F::BinaryCrossEntropyWithLogitsFuncOptions(), k);
    return to_number(w, F::binary_cross_entropy_with_logits(zs[0], y, options), k);
  };
  const auto options = with_reduction(F::BinaryCrossEntropyFuncOptions(), k);
  return {to_number(w, F::binary_cross_entropy(z.sigmoid(), y, options), k),
          {{z}, plain, Family::Bernoulli}};
}

Made log_sigmoid(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto y = w.constant(z.sizes(), k).sigmoid();
  return as_written(z, Family::Bernoulli, [=](const Tensor& t) {
    return reduced(w, -(y * F::logsigmoid(t) + (1 - y) * F::logsigmoid(-t)), k);
  });
}

Made soft_margin(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto y = (w.constant(z.sizes(), k) > 0).to(torch::kDouble);
  return as_written(z, Family::Bernoulli,
                    [=](const Tensor& t) { return F::multilabel_soft_margin_loss(t, y); });
}

/// As a column, or as one number an example.
Tensor column_or_list(const Tensor& z, uint64_t k) {
  return z.size(1) == 1 && k / 60 % 2 == 1 ? z.squeeze(1) : z;
}

Made mse(W& w, const Tensor& h, uint64_t k) {
  const auto z = column_or_list(head(w, h, k), k);
  const auto y = w.constant(z.sizes(), k);
  return as_written(z, Family::Gaussian, [=](const Tensor& t) {
    const auto options = with_reduction(F::MSELossFuncOptions(), k);
    return to_number(w, k / 3 % 2 ? F::mse_loss(y, t, options) : F::mse_loss(t, y, options), k);
  });
}

/// One of known s F_R: κ times what each element weighs.
template <class Loss>
Made location(W& w, const Tensor& z, double kappa, uint64_t k, Loss loss) {
  auto made =
      as_written(z, Family::GivenFisher, [=](const Tensor& t) { return reduced(w, loss(t), k); });
  made.term.weights = weights_of(w, z, k);
  made.term.fisher = {kappa * made.term.weights};
  return made;
}

double kappa_of_huber(double delta) {
  const auto one = torch::ones({1}, torch::kDouble);
  return huber(delta).fisher(one, one).item<double>();
}

Made huber_loss(W& w, const Tensor& h, uint64_t k) {
  const auto z = column_or_list(head(w, h, k), k), y = w.constant(z.sizes(), k);
  constexpr double kDelta = 0.7;
  return location(w, z, kappa_of_huber(kDelta), k, [=](const Tensor& t) {
    return F::huber_loss(t, y, F::HuberLossFuncOptions().reduction(torch::kNone).delta(kDelta));
  });
}

Made l1_loss(W& w, const Tensor& h, uint64_t k) {
  const auto z = column_or_list(head(w, h, k), k), y = w.constant(z.sizes(), k);
  return location(w, z, 1, k, [=](const Tensor& t) {
    if (k / 2 % 2) return (t - y).abs();
    return F::l1_loss(t, y, F::L1LossFuncOptions().reduction(torch::kNone));
  });
}

Made poisson(W& w, const Tensor& h, uint64_t k) {
  const auto z = column_or_list(head(w, h, k), k);
  const auto y = w.classes(z.sizes(), 5, k).to(torch::kDouble);
  return as_written(z, Family::Poisson, [=](const Tensor& t) {
    const auto options = with_reduction(F::PoissonNLLLossFuncOptions(), k).log_input(true);
    return to_number(w, F::poisson_nll_loss(t, y, options), k);
  });
}

}  // namespace

std::vector<PieceKind> libtorch_pieces() {
  return {{"cross_entropy", cross_entropy},
          {"cross_entropy", cross_entropy},
          {"cross_entropy of positions", cross_entropy_of_positions},
          {"cross_entropy of probabilities", soft_cross_entropy},
          {"nll_loss", nll_loss},
          {"kl_div", kl_div},
          {"binary_cross_entropy_with_logits", bce_with_logits},
          {"binary_cross_entropy of sigmoid", bce_of_sigmoid},
          {"logsigmoid", log_sigmoid},
          {"multilabel_soft_margin_loss", soft_margin},
          {"mse_loss", mse},
          {"mse_loss", mse},
          {"huber_loss", huber_loss},
          {"l1_loss", l1_loss},
          {"poisson_nll_loss", poisson}};
}

}  // namespace natgrad::testing::fuzz
