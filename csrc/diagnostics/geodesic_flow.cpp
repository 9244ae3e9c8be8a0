#include <fmt/format.h>
#include <natgrad/diagnostics/geodesic_flow.h>
#include <natgrad/graph/loss_graph.h>
#include <natgrad/graph/marks.h>
#include <natgrad/likelihoods/categorical.h>
#include <natgrad/solvers/conjugate_gradients.h>
#include <torch/torch.h>

#include <cmath>

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kEulersOrder = 0.9;
constexpr double kRoundingOfPath = 1e-12;
constexpr double kSumOfChances = 1e-6;
// Solves to rounding, of few unknowns.
constexpr double kTight = 1e-13;

Tensor checked_chances(const Tensor& p, const char* name) {
  TORCH_CHECK_VALUE(p.defined() && p.dim() == 1 && p.size(0) >= 2 && p.is_floating_point(),
                    "natgrad: geodesic_flow's `", name,
                    "` is one number for each of two or more classes, [K], but got ",
                    p.defined() ? p.sizes() : torch::IntArrayRef(), ".");
  check_support(p, p.gt(0), "the classes' chances are positive", name);
  const double sum = p.sum().item<double>();
  TORCH_CHECK_VALUE(std::abs(sum - 1) <= kSumOfChances, "natgrad: geodesic_flow's `", name,
                    "` sums to 1, but got ", sum, ".");
  return p.detach().to(torch::kCPU, torch::kDouble) / sum;
}

/// p after each step, [steps + 1, K].
Tensor follow_natural_gradient(const Tensor& p0, const Tensor& q, const Curvature& metric,
                               double time, int64_t steps) {
  const torch::AutoGradMode enable_grad(true);
  const auto solver = ConjugateGradient().max_iterations(10 * p0.size(0)).tolerance(kTight);
  auto logits = p0.log().requires_grad_();
  std::vector<Tensor> path{p0};
  for (int64_t k = 0; k < steps; ++k) {
    const LossGraph graph(nll(Categorical(logits.unsqueeze(0)), q.unsqueeze(0)), {logits});
    const auto direction = solver.solve(metric.at(graph).matrix, graph.gradient()).x;
    logits = (logits.detach() - time / static_cast<double>(steps) * direction).requires_grad_();
    path.push_back(logits.detach().softmax(0));
  }
  return torch::stack(path);
}

GeodesicFlowReport::Deviations deviations_of(const Tensor& path, const Tensor& q, double time) {
  const auto p0 = path[0];
  const auto steps = path.size(0) - 1;
  const auto largest = [](const Tensor& rows) { return rows.norm(2, 1).max().item<double>(); };
  /// What of the rows is not in the span of the columns.
  const auto beside = [](const Tensor& rows, const Tensor& columns) {
    const auto basis = std::get<0>(torch::linalg_qr(columns));
    return rows - rows.mm(basis).mm(basis.t());
  };
  const auto t = torch::linspace(0, time, steps + 1, path.options()).unsqueeze(1);
  const auto solution = q + torch::exp(-t) * (p0 - q);
  const auto plane = torch::stack({p0.sqrt(), q.sqrt()}, 1);
  return {largest(beside(path - q, (p0 - q).unsqueeze(1))), largest(beside(path.sqrt(), plane)),
          largest(path - solution)};
}

/// Of an error that went from a to b as ε was halved; infinite where only rounding is left.
double order_of(double a, double b) {
  return b <= kRoundingOfPath ? std::numeric_limits<double>::infinity() : std::log2(a / b);
}

}  // namespace

void GeodesicFlowOptions::check() const {
  TORCH_CHECK_VALUE(time_ > 0 && std::isfinite(time_),
                    "natgrad: geodesic_flow's time is a finite number > 0, but is ", time_, ".");
  TORCH_CHECK_VALUE(steps_ >= 2,
                    "natgrad: geodesic_flow takes 2 steps at least, but was asked for ", steps_,
                    ".");
}

GeodesicFlowReport geodesic_flow(const Tensor& from, const Tensor& to, const Curvature& metric,
                                 const GeodesicFlowOptions& options) {
  options.check();
  const auto p0 = checked_chances(from, "from"), q = checked_chances(to, "to");
  TORCH_CHECK_VALUE(p0.sizes() == q.sizes(),
                    "natgrad: geodesic_flow goes from [K] to [K], but got ", p0.sizes(), " and ",
                    q.sizes(), ".");
  const auto run = [&](int64_t steps) {
    return follow_natural_gradient(p0, q, metric, options.time(), steps);
  };
  GeodesicFlowReport report;
  report.metric = metric.describe();
  report.path = run(2 * options.steps());
  report.coarse = deviations_of(run(options.steps()), q, options.time());
  report.fine = deviations_of(report.path, q, options.time());
  const auto &a = report.coarse, &b = report.fine;
  report.orders = {order_of(a.line, b.line), order_of(a.circle, b.circle),
                   order_of(a.solution, b.solution)};
  report.is_mixture_geodesic =
      report.orders.line >= kEulersOrder && report.orders.solution >= kEulersOrder;
  report.is_great_circle = report.orders.circle >= kEulersOrder;
  return report;
}

std::string GeodesicFlowReport::message() const {
  const auto line = [](const char* name, double coarse, double fine, double order) {
    return fmt::format("  {:<28} {:<10.3g} {:<10.3g} order {:.2f}\n", name, coarse, fine, order);
  };
  return fmt::format(
             "the natural gradient's flow from p₀ to q, F = {}: the mixture geodesic: {}; "
             "the great circle of √p: {}\n",
             metric, is_mixture_geodesic ? "yes" : "no", is_great_circle ? "yes" : "no") +
         line("p from the line p₀ q", coarse.line, fine.line, orders.line) +
         line("p(t) from q + e^-t (p₀ - q)", coarse.solution, fine.solution, orders.solution) +
         line("√p from the great circle", coarse.circle, fine.circle, orders.circle);
}

}  // namespace natgrad
