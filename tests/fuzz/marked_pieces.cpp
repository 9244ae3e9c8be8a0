// Losses whose outputs or likelihood are named.

#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods.h>
#include <torch/torch.h>

#include "fuzz/pieces.h"

namespace natgrad::testing::fuzz {

namespace F = torch::nn::functional;

namespace {

using W = Workshop;
using Zs = std::vector<Tensor>;

at::Reduction::Reduction reduction_of(uint64_t k) {
  return k % 3 == 0 ? at::Reduction::Mean : k % 3 == 1 ? at::Reduction::Sum : at::Reduction::None;
}

/// What `natgrad::nll` makes of -log r by observation.
Tensor like_nll(const W& w, const Tensor& e, uint64_t k) {
  if (k % 3 == 0) return e.reshape({e.size(0), -1}).sum(1).mean();
  return k % 3 == 1 ? e.sum() : reduced(w, e, k / 3);
}

template <class Likelihood, class LogProbability>
Made nll_of(W& w, const Tensor& z, const Tensor& y, const Likelihood& likelihood, Family family,
            uint64_t k, LogProbability log_p) {
  const auto loss = natgrad::nll(likelihood, y, reduction_of(k));
  const auto plain = [=](const Zs& zs) { return like_nll(w, -log_p(zs[0]), k); };
  return {loss.dim() == 0 ? loss : reduced(w, loss, k / 3), {{z}, plain, family}};
}

Made nll_of_categorical(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto y = w.classes({z.size(0)}, z.size(1), k);
  return nll_of(w, z, y, natgrad::Categorical(z), Family::Categorical, k, [=](const Tensor& t) {
    return t.log_softmax(1).gather(1, y.unsqueeze(1)).squeeze(1);
  });
}

Made nll_of_bernoulli(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = (w.constant(z.sizes(), k) > 0).to(torch::kDouble);
  return nll_of(w, z, y, natgrad::Bernoulli(z), Family::Bernoulli, k,
                [=](const Tensor& t) { return y * t - torch::softplus(t); });
}

Made nll_of_gaussian(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = w.constant(z.sizes(), k);
  constexpr double kVariance = 0.3;
  auto made =
      nll_of(w, z, y, natgrad::Gaussian(z, kVariance), Family::Gaussian, k, [=](const Tensor& t) {
        return -(t - y).square() / (2 * kVariance) - 0.5 * std::log(2 * M_PI * kVariance);
      });
  made.term.variance = kVariance;
  return made;
}

Made nll_of_poisson(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k);
  const auto y = w.classes(z.sizes(), 4, k).to(torch::kDouble);
  return nll_of(w, z, y, natgrad::Poisson(z), Family::Poisson, k,
                [=](const Tensor& t) { return y * t - t.exp() - torch::lgamma(y + 1); });
}

/// The weights that `like_nll` gives to the observations.
Tensor weights_like_nll(const W& w, const Tensor& e, uint64_t k) {
  if (k % 3 == 2) return weights_of(w, e, k / 3);
  return torch::full_like(e.detach(), k % 3 == 0 ? 1.0 / static_cast<double>(e.size(0)) : 1.0);
}

Made log_std_gaussian(W& w, const Tensor& h, uint64_t k) {
  const auto z = F::linear(h, w.parameter({2, h.size(1)}, k));
  const auto y = w.constant({z.size(0), 1}, k);
  auto made = nll_of(w, z, y, natgrad::LogStdGaussian(z), Family::LogStd, k, [=](const Tensor& t) {
    const auto mean = t.narrow(1, 0, 1), s = t.narrow(1, 1, 1);
    return -0.5 * ((y - mean) * torch::exp(-s)).square() - s - 0.5 * std::log(2 * M_PI);
  });
  made.term.weights = weights_like_nll(w, y, k);
  return made;
}

Made own(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k), y = w.constant(z.sizes(), k);
  const auto loss = [=](const Tensor& t) {
    switch (k % 6) {
      case 0:
        return torch::log(torch::cosh(t - y)).mean();
      case 1:
        return (t - y).pow(4).sum();
      case 2:
        return F::cross_entropy(t, y.softmax(1)) + 0.1 * t.square().sum();
      case 3:
        return (t.sum().square() + t.square().sum()) / 2;
      case 4:
        return torch::sqrt((t - y).square().sum(1) + 1).mean();
      default:
        return (t.sin() * y).mean();  // not convex
    }
  };
  return {loss(natgrad::outputs(z)), {{z}, [=](const Zs& zs) { return loss(zs[0]); }}};
}

Made policy(W& w, const Tensor& h, uint64_t k) {
  const auto z = head(w, h, k, 2);
  const auto actions = w.classes({z.size(0), 1}, z.size(1), k);
  const auto advantages = w.constant({z.size(0), 1}, k);
  const auto loss = [=](const Zs& zs) {
    return -(zs[0].log_softmax(1).gather(1, actions) * advantages).mean();
  };
  return {loss({natgrad::outputs(natgrad::Categorical(z))}), {{z}, loss, Family::NamedLogits}};
}

}  // namespace

std::vector<PieceKind> marked_pieces() {
  return {{"nll of Categorical", nll_of_categorical},
          {"nll of Bernoulli", nll_of_bernoulli},
          {"nll of Gaussian", nll_of_gaussian},
          {"nll of Poisson", nll_of_poisson},
          {"nll of LogStdGaussian", log_std_gaussian},
          {"marked outputs", own},
          {"named policy", policy}};
}

}  // namespace natgrad::testing::fuzz
