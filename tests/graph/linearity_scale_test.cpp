#include <natgrad/graph/loss_graph.h>

#include <functional>

#include "support/oracles.h"

namespace natgrad::testing::linearity_scale_test {
namespace {

namespace F = torch::nn::functional;

// The check has no unit: a loss that is not linear is refused however large its values are.
struct Scaled {
  const char* name;
  std::function<Tensor(const Tensor& z, const Tensor& y)> loss;
};

void PrintTo(const Scaled& scaled, std::ostream* out) { *out << scaled.name; }

class NotLinearAtScale : public ::testing::TestWithParam<Scaled> {
 protected:
  void expect_refused(torch::ScalarType type, double scale) const {
    const auto x = randn({50, 3}, 1).to(type), w = randn({3, 2}, 2).to(type).requires_grad_();
    const auto y = scale * randn({50, 2}, 3).to(type);
    expect_error([&] { LossGraph(GetParam().loss(x.mm(w), y), {w}); }, "not linear");
  }
};

TEST_P(NotLinearAtScale, IsRefusedInDouble) {
  for (const double scale : {1e-3, 1.0, 1e3, 1e6}) expect_refused(torch::kDouble, scale);
}

TEST_P(NotLinearAtScale, IsRefusedInFloat) {
  for (const double scale : {1e-3, 1.0, 1e3, 1e6}) expect_refused(torch::kFloat, scale);
}

INSTANTIATE_TEST_SUITE_P(
    Losses, NotLinearAtScale,
    ::testing::Values(
        Scaled{"RootMeanSquare",
               [](const Tensor& z, const Tensor& y) { return F::mse_loss(z, y).sqrt(); }},
        Scaled{"LogOfTheMean",
               [](const Tensor& z, const Tensor& y) { return F::mse_loss(z, y).log(); }},
        Scaled{"MeanOfLogs",
               [](const Tensor& z, const Tensor& y) {
                 const auto none = F::MSELossFuncOptions().reduction(torch::kNone);
                 return (1 + F::mse_loss(z, y, none)).log().mean();
               }}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace natgrad::testing::linearity_scale_test
