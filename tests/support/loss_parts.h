#pragma once

// What the table of losses is made of: data, the losses in elementary operations, entries.

#include "support/dense_oracles.h"
#include "support/losses.h"
#include "support/networks.h"
#include "support/oracles.h"

namespace natgrad::testing::loss_parts {

namespace F = torch::nn::functional;
using Reduction = at::Reduction::Reduction;
using Loss = std::function<Tensor(const Tensor& z)>;
using Shape = std::vector<int64_t>;

// ---- Data. ----

inline const Shape kFlat = {kExamples, kOutputs}, kImage = {kExamples, 3, 2},
                   kHalf = {kExamples, 3};

inline Tensor labels() { return torch::tensor({0, 2, 5, 2}); }
inline Tensor image_labels() { return torch::tensor({{0, 2}, {1, 1}, {2, 0}, {1, 2}}); }
inline Tensor half_labels() { return torch::tensor({2, 0, 1, 1}); }
inline Tensor uniform(at::IntArrayRef shape, uint64_t seed) {
  return torch::rand(shape, seeded(seed), torch::kDouble);
}
inline Tensor shares() { return uniform(kFlat, 301).softmax(1); }  // probabilities
inline Tensor masses() { return 3 * uniform(kFlat, 302) + 0.1; }   // soft targets of any sum
inline Tensor fractions() { return uniform(kFlat, 303); }          // soft binary targets
inline Tensor reals() { return randn(kFlat, 304); }
inline Tensor class_weights() { return uniform({kOutputs}, 305) + 0.5; }
inline Tensor positive_weights() { return 3 * uniform({kOutputs}, 306) + 0.5; }
inline Tensor example_weights() { return uniform({kExamples}, 307) + 0.2; }
inline Tensor element_weights() { return uniform(kFlat, 308) + 0.2; }
inline Tensor number(double s) { return torch::full({}, s, torch::kDouble); }

// ---- The same losses in elementary operations; z is moderate here. ----

inline Tensor log_p(const Tensor& z) { return z - z.exp().sum(1, true).log(); }
inline Tensor surprise(const Tensor& z, const Tensor& y) {
  return -log_p(z).gather(1, y.unsqueeze(1)).squeeze(1);
}
inline Tensor log_one_plus_exp(const Tensor& z) { return (1 + z.exp()).log(); }
inline Tensor coins(const Tensor& z, const Tensor& y, const Tensor& positive = number(1)) {
  return positive * y * log_one_plus_exp(-z) + (1 - y) * log_one_plus_exp(z);
}
inline Tensor squares(const Tensor& z) { return (z - reals()).pow(2); }
inline Tensor gaussian_surprise(const Tensor& z, double variance) {
  return squares(z) / (2 * variance) + 0.5 * std::log(2 * M_PI * variance);
}

// ---- Losses that LibTorch and natgrad have no name for. ----

inline Tensor error_of_cubes(const Tensor& z) { return (z.pow(3) - reals()).pow(2).mean(); }
inline Tensor coupled_logsumexp(const Tensor& z) {
  return z.logsumexp(1).pow(2).mean() + z.logsumexp({0, 1}).exp().log1p();
}
inline Tensor focal(const Tensor& ce) { return ((1 - (-ce).exp()).pow(2) * ce).mean(); }
inline Tensor non_separable(const Tensor& a, const Tensor& b) {
  return ((a - b.tanh()).pow(2) + (a * b).exp()).mean() + torch::cat({a, b}, 1).logsumexp({0, 1});
}

// ---- Options. ----

inline F::CrossEntropyFuncOptions ce_none() {
  return F::CrossEntropyFuncOptions().reduction(torch::kNone);
}
inline F::CrossEntropyFuncOptions ce_sum() {
  return F::CrossEntropyFuncOptions().reduction(torch::kSum);
}
inline F::BinaryCrossEntropyWithLogitsFuncOptions bce() { return {}; }
template <class R>
F::MSELossFuncOptions mse(R reduction) {
  return F::MSELossFuncOptions(reduction);
}

// ---- Entries. ----

inline LossCase one(std::string name, Shape shape, Loss loss, Loss reference,
                    std::vector<ExpectedTerm> terms = {}) {
  return {std::move(name),
          {std::move(shape)},
          [loss](const Outputs& z) { return loss(z[0]); },
          [reference](const Outputs& z) { return reference(z[0]); },
          std::move(terms)};
}

inline ExpectedTerm term(const Family& family, const Tensor& s, size_t output = 0) {
  return {output, family, s};
}
inline ExpectedTerm term(const Family& family, double s, size_t output = 0) {
  return term(family, number(s), output);
}

inline constexpr double kN = kExamples, kM = kExamples * kOutputs;

// ---- The parts of the table. ----

std::vector<LossCase> cross_entropies();
std::vector<LossCase> binary_cross_entropies();
std::vector<LossCase> losses_of_sigmoids();
std::vector<LossCase> location_losses();
std::vector<LossCase> counts();
std::vector<LossCase> squared_errors();
std::vector<LossCase> named_likelihoods();
std::vector<LossCase> own_losses();
std::vector<LossCase> sums_of_terms();
std::vector<LossCase> squares_by_hand();
std::vector<LossCase> classes_by_hand();
std::vector<LossCase> coins_by_hand();
std::vector<LossCase> counts_by_hand();

}  // namespace natgrad::testing::loss_parts
