#pragma once

// One table of symmetric positive definite systems, which drives every solver's tests.

#include <string>
#include <vector>

#include "support/oracles.h"

namespace natgrad::testing {

struct LinearProblem {
  std::string name;
  Tensor matrix;
  Tensor right_hand_side;
  double condition;
};

inline std::ostream& operator<<(std::ostream& out, const LinearProblem& problem) {
  return out << problem.name;
}

/// A x = b with the random solution x, so that b does not ask for a huge x at a large condition
/// number.
inline LinearProblem with_random_solution(std::string name, const Tensor& matrix, double condition,
                                          uint64_t seed) {
  return {std::move(name), matrix, matrix.mv(randn({matrix.size(0)}, seed)), condition};
}

inline LinearProblem spd_problem(const std::string& name, double condition, uint64_t seed) {
  constexpr int64_t kSize = 24;
  return with_random_solution(name, random_spd(kSize, condition, seed), condition, seed + 100);
}

/// Three tight clusters of eigenvalues, around 1, 10 and 100.
inline Tensor clustered_spectrum() {
  const auto spread = 1 + 1e-3 * torch::linspace(-1, 1, 10, torch::kDouble);
  return torch::cat({spread, 10 * spread, 100 * spread});
}

inline Tensor hilbert_matrix(int64_t n) {
  const auto i = torch::arange(n, torch::kDouble);
  return 1 / (i.unsqueeze(1) + i.unsqueeze(0) + 1);
}

/// U Uᵀ + λI with U of [n, rank]: the shape of a damped batch curvature.
inline Tensor low_rank_plus_shift(int64_t n, int64_t rank, double lambda, uint64_t seed) {
  const auto u = randn({n, rank}, seed);
  return u.mm(u.t()) + lambda * torch::eye(n, torch::kDouble);
}

inline std::vector<LinearProblem> linear_problems() {
  const auto counting = torch::arange(1, 31, torch::kDouble);
  return {
      {"Diagonal", torch::diag(counting), randn({30}, 1), 30},
      spd_problem("Condition1", 1, 2),
      spd_problem("Condition1e2", 1e2, 3),
      spd_problem("Condition1e4", 1e4, 4),
      spd_problem("Condition1e8", 1e8, 5),
      spd_problem("Condition1e12", 1e12, 6),
      {"Clustered", symmetric_with_spectrum(clustered_spectrum(), 7), randn({30}, 8), 100},
      with_random_solution("Hilbert8", hilbert_matrix(8), 1.5e10, 9),
      {"LowRankPlusShift", low_rank_plus_shift(40, 5, 1e-2, 10), randn({40}, 11), 1e4},
      {"DampedLowRank", low_rank_plus_shift(40, 5, 1, 15), randn({40}, 16), 1e2},
      {"OneByOne", torch::full({1, 1}, 0.3, torch::kDouble), randn({1}, 12), 1},
      {"Identity", torch::eye(9, torch::kDouble), randn({9}, 13), 1},
      {"ZeroRightHandSide", random_spd(12, 10, 14), torch::zeros({12}, torch::kDouble), 10},
  };
}

inline std::vector<LinearProblem> linear_problems_up_to(double condition) {
  auto problems = linear_problems();
  std::erase_if(problems, [=](const LinearProblem& p) { return p.condition > condition; });
  return problems;
}

inline std::string linear_problem_name(const ::testing::TestParamInfo<LinearProblem>& info) {
  return info.param.name;
}

}  // namespace natgrad::testing
