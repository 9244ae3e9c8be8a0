// A normal distribution in two dimensions by Σ⁻¹μ and the vectorization of Σ⁻¹, one of the examples
// of natural parameters in Martens, "New perspectives", section 8. All of vec Σ⁻¹ is more than
// there is: its antisymmetric part has no effect, F_R is singular there, and vech, the lower
// triangle, has the same steps without it.

#include <natgrad/graph/loss_graph.h>
#include <numbers>

#include "support/quadrature.h"
#include "theory/small_network.h"

namespace natgrad::testing::natural_normal_test {
namespace {

constexpr double kRounding = 1e-11;
constexpr int64_t kCount = 9;

/// (Σ⁻¹μ, Σ⁻¹) from parameters, one set for all observations.
struct Natural {
  Tensor linear, precision;
};
using Unpack = std::function<Natural(const Tensor& parameters)>;

Natural from_vec(const Tensor& t) {
  const auto full = t.narrow(0, 2, 4).view({2, 2});
  return {t.narrow(0, 0, 2), 0.5 * (full + full.t())};
}

Natural from_vech(const Tensor& t) {
  const auto off = t[3];
  return {t.narrow(0, 0, 2), torch::stack({t[2], off, off, t[4]}).view({2, 2})};
}

struct NaturalNormal : ::testing::Test {
  const Tensor y = randn({kCount, 2}, 6011) + torch::tensor({0.5, -1.0}, torch::kDouble);
  const Tensor mean = torch::tensor({0.3, -0.4}, torch::kDouble);
  const Tensor precision = torch::tensor({{1.5, 0.4}, {0.4, 0.8}}, torch::kDouble);
  const Tensor linear = precision.mv(mean);
  const Tensor vec = torch::cat({linear, precision.reshape(-1)}).requires_grad_();
  const Tensor vech =
      torch::cat({linear, precision[0], precision[1].narrow(0, 1, 1)}).requires_grad_();

  /// -log r = ½ yᵀΛy - ηᵀy + ½ ηᵀΛ⁻¹η - ½ log det Λ + const, a loss of the user's own.
  LossGraph graph(const Tensor& parameters, const Unpack& unpack) const {
    const auto [eta, lambda] = unpack(outputs(parameters));
    const auto energy = 0.5 * (y.mm(lambda) * y).sum(1) - y.mv(eta);
    const auto log_z =
        0.5 * eta.dot(torch::linalg_solve(lambda, eta)) - 0.5 * torch::logdet(lambda);
    return LossGraph(energy.mean() + log_z, {parameters});
  }
  /// Cov(T) under the model by quadrature, T(y) per point given.
  template <class Statistics>
  Tensor covariance(Statistics statistics) const {
    const auto sigma = torch::linalg_inv(precision);
    const auto support = real_space(mean.unsqueeze(0), torch::linalg_cholesky(sigma));
    std::vector<Tensor> t, r;
    for (size_t k = 0; k < support.points.size(); ++k) {
      const auto centred = support.points[k][0] - mean;
      const auto density = (-0.5 * centred.dot(precision.mv(centred))).exp() *
                           torch::linalg_det(precision).sqrt() / (2 * std::numbers::pi);
      r.push_back(density * support.measure[k].reshape({}));
      t.push_back(statistics(support.points[k][0]));
    }
    const auto p = torch::stack(r), matrix = torch::stack(t);
    const auto centred = matrix - p.unsqueeze(0).mm(matrix);
    return centred.t().mm(p.unsqueeze(1) * centred);
  }
  /// The change of (η, Λ) by one natural gradient step.
  Tensor change(const LossGraph& graph, const Unpack& unpack) const {
    const auto delta = tight_solver().solve(gauss_newton(graph), -graph.gradient()).x;
    const auto [eta, lambda] = unpack(delta);
    return flat({eta, lambda});
  }
};

TEST_F(NaturalNormal, HasTheCovarianceOfItsStatisticsAsFisherMatrix) {
  // T = (y, -½ vec y yᵀ); H_L = ∇²log Z has no y in it.
  const auto expected = covariance([](const Tensor& v) {
    return torch::cat({v, -0.5 * v.outer(v).reshape(-1)});
  });
  EXPECT_LT(relative_error(dense(gauss_newton(graph(vec, from_vec))), expected), kRounding);
}

TEST_F(NaturalNormal, ByTheLowerTriangleToo) {
  const auto expected = covariance([](const Tensor& v) {
    return torch::stack({v[0], v[1], -0.5 * v[0].square(), -v[0] * v[1], -0.5 * v[1].square()});
  });
  const auto matrix = dense(gauss_newton(graph(vech, from_vech)));
  EXPECT_LT(relative_error(matrix, expected), kRounding);
  EXPECT_GT(smallest_eigenvalue(matrix), 0.01);
}

TEST_F(NaturalNormal, ByAllOfThePrecisionIsOverparameterised) {
  const auto matrix = dense(gauss_newton(graph(vec, from_vec)));
  const auto antisymmetric = torch::tensor({0., 0., 0., 1., -1., 0.}, torch::kDouble);
  EXPECT_LT(matrix.mv(antisymmetric).norm().item<double>(), kRounding);
  const auto eigenvalues = torch::linalg_eigvalsh(matrix);
  EXPECT_GT(eigenvalues[1].item<double>(), 0.01);  // and nowhere else
}

TEST_F(NaturalNormal, TakesTheSameStepEitherWay) {
  const auto by_vec = change(graph(vec, from_vec), from_vec);
  const auto by_vech = change(graph(vech, from_vech), from_vech);
  EXPECT_LT(relative_error(by_vec, by_vech), 1e-9);  // conjugate gradients
}

}  // namespace
}  // namespace natgrad::testing::natural_normal_test
