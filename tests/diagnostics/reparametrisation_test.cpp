// θ = g(γ): values, Jacobians and inverses against autograd row by row.
#include <natgrad/diagnostics/reparametrisation.h>

#include <memory>

#include "support/dense_oracles.h"
#include "support/oracles.h"

namespace natgrad::testing::reparametrisation_test {
namespace {

// Inverses by solves of condition 20, logarithms and Newton's method.
constexpr double kRounding = 1e-12;
constexpr int64_t kSize = 5;

struct Map {
  std::string name;
  std::shared_ptr<const Reparametrisation> g;
  std::function<Tensor(const Tensor&)> reference;  // none: g's own `forward`
};

std::ostream& operator<<(std::ostream& out, const Map& map) { return out << map.name; }

/// One of a user's own, with nothing but the map: it mixes neighbours.
struct Twisted final : Reparametrisation {
  Tensor forward(const Tensor& gamma) const override {
    return gamma + 0.3 * torch::roll(gamma, 1).tanh();
  }
  std::string describe() const override { return "γ + 0.3 tanh(rolled γ)"; }
};

template <class G>
std::shared_ptr<const Reparametrisation> share(G g) {
  return std::make_shared<const G>(std::move(g));
}

std::vector<Map> maps() {
  const auto A = random_spd(kSize, 20, 1) + 0.1 * randn({kSize, kSize}, 2);
  const auto b = randn({kSize}, 3), d = randn({kSize}, 4).exp();
  return {
      {"Dense", share(Affine(A, b)), [=](const Tensor& g) { return A.mv(g) + b; }},
      {"Diagonal", share(Affine(d)), [=](const Tensor& g) { return d * g; }},
      {"Mixing", share(Affine::mixing(kSize, 20, 7)), nullptr},
      {"Exp", share(Elementwise::exp(-9)), [](const Tensor& g) { return g.exp() - 9; }},
      {"Sinh", share(Elementwise::sinh(0.7)),
       [](const Tensor& g) { return 0.7 * 0.5 * ((g / 0.7).exp() - (-g / 0.7).exp()); }},
      {"OwnSlope",
       share(Elementwise(
           "γ³ + γ", [](const Tensor& g) { return g.pow(3) + g; },
           [](const Tensor& t) {  // Cardano
             const auto root = (t.square() / 4 + 1. / 27).sqrt();
             const auto cbrt = [](const Tensor& x) { return x.sign() * x.abs().pow(1. / 3); };
             return cbrt(t / 2 + root) + cbrt(t / 2 - root);
           })),
       [](const Tensor& g) { return g.pow(3) + g; }},
      {"Own", share(Twisted()), nullptr},
  };
}

struct Reparametrisations : ::testing::TestWithParam<Map> {
  const Reparametrisation& g = *GetParam().g;
  const Tensor gamma = randn({kSize}, 11).requires_grad_();
  Tensor expected() const {
    return GetParam().reference ? GetParam().reference(gamma) : g.forward(gamma);
  }
  const Tensor J = jacobian(expected(), {gamma});
};

TEST_P(Reparametrisations, HaveTheirValuesAndJacobians) {
  EXPECT_LT(relative_error(g.forward(gamma), expected()), kRounding);
  EXPECT_LT(relative_error(jacobian_of(g, gamma), J), kRounding);
  const auto u = randn({kSize}, 12);
  EXPECT_LT(relative_error(g.multiply_jacobian_transposed(gamma, u), J.t().mv(u)), kRounding);
}

TEST_P(Reparametrisations, HaveInverses) {
  const auto theta = expected().detach();
  EXPECT_LT(relative_error(g.forward(g.inverse(theta)), theta), kRounding);
  EXPECT_LT(relative_error(g.inverse(theta), gamma), kRounding);
}

TEST_P(Reparametrisations, KnowTheConditionOfTheirJacobian) {
  const auto values = torch::linalg_svdvals(J);
  const double expected = (values[0] / values[-1]).item<double>();
  if (GetParam().name == "Mixing") {  // an orthogonal factor leaves it as it is
    EXPECT_LE(g.condition(gamma), 20);
  }
  EXPECT_NEAR(g.condition(gamma) / expected, 1, 1e-10);
}

INSTANTIATE_TEST_SUITE_P(Maps, Reparametrisations, ::testing::ValuesIn(maps()),
                         [](const auto& info) { return info.param.name; });

TEST(AffineTest, MixesAllParametersOfAnySize) {
  const auto A = jacobian_of(Affine::mixing(6, 50, 3), torch::zeros({6}, torch::kDouble));
  EXPECT_GT(A.abs().min().item<double>(), 0);
  const auto product = A.mm(A.t());  // diag(d)²
  EXPECT_LT(relative_error(product, torch::diag(product.diagonal())), kRounding);
  const int64_t many = 100000;
  const auto large = Affine::mixing(many, 50, 3, torch::zeros({1}));
  const auto theta = torch::randn({many}, seeded(4));
  EXPECT_LT(relative_error(large.forward(large.inverse(theta)), theta), 1e-5);  // float32
}

TEST(AffineTest, HasANumberForEachTensor) {
  const auto g = Affine::per_tensor({randn({2, 2}, 1), randn({3}, 2)}, {0.01, 5});
  EXPECT_TRUE(identical(g.forward(torch::ones({7}, torch::kDouble)),
                        torch::tensor({.01, .01, .01, .01, 5., 5., 5.}, torch::kDouble)));
}

TEST(ReparametrisationTest, OfCubesIsSingularAtZero) {
  // "J_g is invertible (since g is)": not that of γ³ at 0.
  const Elementwise cubes(
      "γ³", [](const Tensor& g) { return g.pow(3); },
      [](const Tensor& t) { return t.sign() * t.abs().pow(1. / 3); });
  EXPECT_TRUE(std::isinf(cubes.condition(torch::tensor({1., 0.}, torch::kDouble))));
  EXPECT_NEAR(cubes.condition(torch::tensor({1., 2.}, torch::kDouble)), 4, kRounding);
}

TEST(ReparametrisationTest, RefusesWhatHasNoInverse) {
  struct Positive final : Reparametrisation {
    Tensor forward(const Tensor& gamma) const override { return gamma.square(); }
    std::string describe() const override { return "γ²"; }
  };
  const auto negative = torch::tensor({-1., 1.}, torch::kDouble);
  expect_error([&] { Positive().inverse(negative); }, "found no γ with g(γ) = θ for θ = γ²");
  expect_error([&] { Elementwise::exp(-1).inverse(negative); }, "with an origin below");
  expect_error([&] { Positive().condition(torch::ones({4096}, torch::kDouble)); },
               "Override Reparametrisation::condition");
  expect_error([] { Elementwise::sinh(0); }, "finite s > 0");
  expect_error([] { Affine(randn({2, 3}, 1)); }, "A of [P, P]");
  expect_error([] { Affine(randn({2, 2}, 1), randn({3}, 2)); }, "b of [2]");
  expect_error([] { Affine(torch::tensor({1., 0.}, torch::kDouble)); }, "invertible");
  expect_error([] { Affine::per_tensor({randn({2}, 1)}, {1, 2}); }, "a factor for each");
  expect_error([] { Affine::mixing(3, 0.5, 1); }, "condition >= 1");
}

}  // namespace
}  // namespace natgrad::testing::reparametrisation_test
