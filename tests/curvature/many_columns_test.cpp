#include <natgrad/curvature/classical_gauss_newton.h>
#include <natgrad/curvature/fisher.h>
#include <natgrad/curvature/gauss_newton.h>
#include <natgrad/curvature/hessian.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/curvature/penalty_hessian.h>
#include <natgrad/graph/loss_graph.h>
#include "linalg/vmap.h"

#include "support/curvature_cases.h"
#include "support/graph_readings.h"

// Products with many columns at once against products with each, for every curvature on every
// network and loss of the tables.

namespace natgrad::testing::many_columns_test {
namespace {

// Both compute the same sums in double, in another order.
constexpr double kRounding = 1e-11;
constexpr int64_t kColumns = 5;

struct ManyColumns : ::testing::TestWithParam<CurvatureCase> {
  Problem problem = make_problem(GetParam().network, GetParam().loss);

  std::vector<LinearOperator> operators() const {
    std::vector<LinearOperator> result = {gauss_newton(problem.graph), hessian(problem.graph),
                                          classical_gauss_newton(problem.graph)};
    if (problem.graph.has_penalties()) result.push_back(penalty_hessian(problem.graph));
    if (has_fisher(problem.graph)) {
      result.push_back(fisher(problem.graph));
      result.push_back(monte_carlo_fisher(problem.graph, 2, seeded(1)));
    }
    return result;
  }
};

TEST_P(ManyColumns, AreTheProductsWithEach) {
  for (const auto& C : operators()) {
    const auto block = randn({C.size(), kColumns}, 2301);
    std::vector<Tensor> each;
    for (int64_t k = 0; k < kColumns; ++k) each.push_back(C.multiply(block.select(1, k)));
    EXPECT_LT(relative_error(C.multiply(block), torch::stack(each, 1)), kRounding) << C.name();
  }
}

// Else the test above would compare the loop with itself.
TEST_P(ManyColumns, NeedNoLoop) {
  for (const auto& C : operators()) {
    const auto together = vmap([&](const auto& v) { return C.multiply(v.front()); },
                               {randn({kColumns, C.size()}, 2302)});
    EXPECT_TRUE(together) << C.name();
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, ManyColumns, ::testing::ValuesIn(curvature_cases(losses())),
                         ByName());

}  // namespace
}  // namespace natgrad::testing::many_columns_test
