// Losses in elementary ops: those that natgrad reads, and those that it must not.

#include <torch/torch.h>

#include "fuzz/pieces.h"

namespace natgrad::testing::fuzz {

namespace F = torch::nn::functional;

namespace {

using W = Workshop;
using Zs = std::vector<Tensor>;

/// reduced(elements(z)), written alike for leaves and the network.
template <class Elements>
Made of_elements(W& w, const Tensor& z, Family family, uint64_t k, Elements elements) {
  const auto loss = [=](const Zs& zs) { return reduced(w, elements(zs[0]), k); };
  return {loss({z}), {{z}, loss, family}};
}

Made squares(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = w.constant(z.sizes(), k);
  return of_elements(w, z, Family::Gaussian, k, [=](const Tensor& t) {
    const auto r = k / 2 % 2 ? t - y : y - t;
    return k % 3 == 0 ? r.pow(2) : k % 3 == 1 ? r * r : 0.5 * r.square();
  });
}

/// Activity as a penalty: a square or a size of values themselves.
Made squares_of_values(W& w, const Tensor& h, uint64_t k) {
  return of_elements(w, h, Family::Gaussian, k, [](const Tensor& t) { return t.pow(2); });
}

Made two_networks(W& w, const Tensor& h, uint64_t k) {
  const auto a = head(w, h, k);
  const auto b = F::linear(h.cos(), w.parameter({a.size(1), h.size(1)}, k));
  const auto d = a - b;
  auto made = of_elements(w, d, Family::Gaussian, k, [](const Tensor& t) { return t.square(); });
  if (k % 2 == 0) {
    const auto options = F::MSELossFuncOptions().reduction(torch::kNone);
    made.loss = reduced(w, F::mse_loss(a, b, options), k);
  }
  return made;
}

Made logsumexp(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto y = w.classes({z.size(0), 1}, z.size(1), k);
  return of_elements(w, z, Family::Categorical, k,
                     [=](const Tensor& t) { return t.logsumexp(1, true) - t.gather(1, y); });
}

Made softplus(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = w.constant(z.sizes(), k).sigmoid();
  return of_elements(w, z, Family::Bernoulli, k, [=](const Tensor& t) {
    return k % 2 ? torch::softplus(t) - y * t : torch::softplus(-t) + (1 - y) * t;
  });
}

Made log_of_sigmoid(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = w.constant(z.sizes(), k).sigmoid();
  return of_elements(w, z, Family::Bernoulli, k, [=](const Tensor& t) {
    const auto p = t.sigmoid();
    return -(y * p.log() + (1 - y) * (1 - p).log());
  });
}

Made exponential(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = w.positive(z.sizes(), k);
  return of_elements(w, z, Family::Poisson, k, [=](const Tensor& t) { return t.exp() - y * t; });
}

/// r² exp(-s) + s, or r²/v + log v, halved: mean and spread by two heads.
Made spread(W& w, const Tensor& h, uint64_t k) {
  const auto mean = head(w, h, k), y = w.constant(mean.sizes(), k);
  auto s = F::linear(h, w.parameter(torch::IntArrayRef({mean.size(1), h.size(1)}), k + 1));
  const bool is_log = k % 2 == 0;
  if (!is_log) s = torch::softplus(s) + 0.2;
  const auto loss = [=](const Zs& zs) {
    const auto r = (zs[0] - y).square();
    const auto e = is_log ? r * torch::exp(-zs[1]) + zs[1] : r / zs[1] + zs[1].log();
    return reduced(w, 0.5 * e, k / 2);
  };
  const auto weights = weights_of(w, mean, k / 2), at = s.detach();
  const auto precision = is_log ? torch::exp(-at) : at.reciprocal();
  Term term{{mean, s}, loss, Family::GivenFisher};
  term.fisher = {weights * precision,
                 0.5 * weights * (is_log ? torch::ones_like(at) : precision.square())};
  return {loss({mean, s}), std::move(term)};
}

// ---- What is no sum of terms ----

template <class Loss>
Made unknown(const Tensor& z, Loss loss) {
  return {loss(z), {{z}, [loss](const Zs& zs) { return loss(zs[0]); }, Family::Unknown}};
}

Made focal(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k, 2);
  const auto y = w.classes({z.size(0)}, z.size(1), k);
  return unknown(z, [=](const Tensor& t) {
    const auto ce = F::cross_entropy(t, y, F::CrossEntropyFuncOptions().reduction(torch::kNone));
    return ((1 - torch::exp(-ce)).square() * ce).mean();
  });
}

template <class Outer>
Made of_mse(W& w, const Tensor& h, uint64_t k, Outer outer) {
  const auto z = head(w, h, k), y = w.constant(z.sizes(), k);
  return unknown(z, [=](const Tensor& t) { return outer(F::mse_loss(t, y)); });
}

Made product(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k, 2), y = w.constant(z.sizes(), k);
  const auto c = w.classes({z.size(0)}, z.size(1), k);
  return unknown(z, [=](const Tensor& t) { return F::mse_loss(t, y) * F::cross_entropy(t, c); });
}

Made dice(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = w.positive(z.sizes(), k);
  return unknown(z, [=](const Tensor& t) {
    const auto p = t.sigmoid();
    return 1 - 2 * (p * y).sum() / (p.sum() + y.sum());
  });
}

Made hinge(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = w.constant(z.sizes(), k).sign();
  return unknown(z, [=](const Tensor& t) { return torch::relu(1 - y * t).mean(); });
}

Made entropy(W& w, const Tensor& h, uint64_t k) {
  return unknown(head(w, h, k, 2), [=](const Tensor& t) {
    const auto log_p = t.log_softmax(1);
    return -(log_p.exp() * log_p).sum(1).mean();
  });
}

Made sine(W& w, const Tensor& h, uint64_t k) {
  return unknown(head(w, h, k), [](const Tensor& t) { return t.sin().mean(); });
}

Made bare_logsumexp(W& w, const Tensor& h, uint64_t k) {
  return unknown(head(w, h, k, 2), [](const Tensor& t) { return t.logsumexp(1).mean(); });
}

Made rooted(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = w.constant(z.sizes(), k);
  return unknown(z, [=](const Tensor& t) { return ((t - y).square().sum(1) + 0.1).sqrt().mean(); });
}

}  // namespace

std::vector<PieceKind> hand_written_pieces() {
  return {{"squares", squares},
          {"squares of values", squares_of_values},
          {"square of two networks' difference", two_networks},
          {"logsumexp(z) - z.gather(y)", logsumexp},
          {"softplus(z) - y z", softplus},
          {"log(sigmoid(z))", log_of_sigmoid},
          {"exp(z) - y z", exponential},
          {"r² exp(-s) + s", spread}};
}

std::vector<PieceKind> unreadable_pieces() {
  return {{"focal loss", focal},
          {"log of mse",
           [](W& w, const Tensor& h, uint64_t k) {
             return of_mse(w, h, k, [](const Tensor& e) { return (e + 0.1).log(); });
           }},
          {"power of mse",
           [](W& w, const Tensor& h, uint64_t k) {
             return of_mse(w, h, k, [](const Tensor& e) { return e.pow(1.5); });
           }},
          {"root of mse",
           [](W& w, const Tensor& h, uint64_t k) {
             return of_mse(w, h, k, [](const Tensor& e) { return e.sqrt(); });
           }},
          {"product of losses", product},
          {"dice", dice},
          {"hinge", hinge},
          {"entropy", entropy},
          {"sine", sine},
          {"bare logsumexp", bare_logsumexp},
          {"root of squares", rooted}};
}

}  // namespace natgrad::testing::fuzz
