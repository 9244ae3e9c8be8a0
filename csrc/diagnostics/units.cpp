#include <fmt/format.h>
#include <natgrad/curvature/metric.h>
#include <natgrad/diagnostics/units.h>
#include <natgrad/linalg/parameters.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "diagnostics/chart.h"
#include "diagnostics/explicit_matrix.h"
#include "linalg/norm.h"

namespace natgrad {

using torch::Tensor;

namespace {

constexpr double kSingularUnits = 1e-12;
// Of a solve with C, in roundings times its condition, which changes with the units; and at most.
constexpr double kRoundingsOfSolve = 100, kLargestErrorInUnits = 1e-2;

/// Numbers by tensor as [P].
Tensor spread(const std::vector<Tensor>& parameters, const std::vector<double>& numbers) {
  std::vector<Tensor> pieces;
  for (size_t k = 0; k < parameters.size(); ++k) {
    pieces.push_back(torch::full({parameters[k].numel()}, numbers[k], torch::kDouble));
  }
  return torch::cat(pieces);
}

/// ∇h and what three methods make of it, in one system of units; each [P] in double.
struct InUnits {
  Tensor gradient, scaled, natural;
  double condition;
};

InUnits in_units(Chart& chart, const Tensor& scales, const Curvature& curvature) {
  const auto graph = chart.graph();
  const auto g = graph.gradient().to(torch::kCPU, torch::kDouble);
  const auto C = explicit_matrix(curvature.at(graph).matrix);
  const Metric metric(diagonal_operator(scales.pow(-2).to(graph.parameters().options())));
  const auto scaled = metric.at(graph).matrix.solve(graph.gradient());
  const Spectrum spectrum(C, kSingularUnits);
  return {g, scaled.to(torch::kCPU, torch::kDouble), spectrum.solve(g), spectrum.condition()};
}

/// The c for which c·b is nearest to a; what is left over, relative, goes into `error`.
double multiple(const Tensor& a, const Tensor& b, double& error) {
  const double c = (a.dot(b) / b.dot(b)).item<double>();
  const double left = ((a - c * b).norm() / a.norm()).item<double>();
  error = std::max(error, left);
  return c;
}

void expect_multiple(double seen, double expected, double& error) {
  const double off = std::abs(seen / expected - 1);
  if (!(off <= error)) error = off;  // also if it is not a number
}

UnitsReport::Row row_of(const InUnits& before, const InUnits& after, int64_t first, int64_t count,
                        double factor, double& error) {
  const auto ratio = [&](const Tensor& a, const Tensor& b) {
    return multiple(a.narrow(0, first, count), b.narrow(0, first, count), error);
  };
  UnitsReport::Row row;
  row.factor = factor;
  row.gradient = ratio(after.gradient, before.gradient);
  row.natural = ratio(after.natural, before.natural);
  row.plain_step = ratio(after.gradient / factor, before.gradient);
  row.scaled_step = ratio(after.scaled / factor, before.scaled);
  row.natural_step = row.natural / factor;
  expect_multiple(row.gradient, 1 / factor, error);
  expect_multiple(row.natural, factor, error);
  expect_multiple(row.plain_step, 1 / (factor * factor), error);
  expect_multiple(row.scaled_step, 1, error);
  return row;
}

void check_units(const std::vector<Tensor>& parameters, const std::vector<double>& numbers,
                 const char* what) {
  TORCH_CHECK_VALUE(numbers.size() == parameters.size(), "natgrad: change_of_units takes ", what,
                    " for each of the ", parameters.size(), " parameters, but got ", numbers.size(),
                    ".");
  for (const double number : numbers) {
    TORCH_CHECK_VALUE(number > 0 && std::isfinite(number), "natgrad: change_of_units takes ", what,
                      " > 0, but got ", number, ".");
  }
}

}  // namespace

UnitsReport change_of_units(const std::vector<Tensor>& parameters,
                            const std::function<Tensor()>& loss, const std::vector<double>& factors,
                            std::vector<double> scales, const Curvature& curvature) {
  if (scales.empty()) scales.assign(parameters.size(), 1);
  check_units(parameters, factors, "a factor");
  check_units(parameters, scales, "a scale");
  const ParameterLayout layout(parameters);
  check_fits_matrix(layout.size(), "change_of_units", "Name fewer parameters.");
  std::vector<double> back;
  for (const double factor : factors) back.push_back(1 / factor);
  const auto units = Affine::per_tensor(parameters, back);  // old numbers from new ones
  const auto s = spread(parameters, scales), c = spread(parameters, factors);
  LossOfParameters h(parameters, loss);
  const auto measured = [&](const Reparametrisation* g, const Tensor& sizes) {
    Chart chart(h, g);
    return in_units(chart, sizes, curvature);
  };
  const auto before = measured(nullptr, s), after = measured(&units, s * c);
  UnitsReport report;
  int64_t first = 0;
  for (size_t k = 0; k < parameters.size(); ++k) {
    const auto count = parameters[k].numel();
    report.rows.push_back(row_of(before, after, first, count, factors[k], report.error));
    first += count;
  }
  const double condition = std::max(before.condition, after.condition);
  report.holds = report.error <= std::min(kLargestErrorInUnits, kRoundingsOfSolve * condition *
                                                                    rounding_of(layout.options()));
  return report;
}

std::string UnitsReport::message() const {
  std::string text = fmt::format("{:>10} {:>12} {:>12} | {:>12} {:>12} {:>12}\n", "factor", "∂h/∂θ",
                                 "F⁻¹∇h", "plain step", "scaled step", "natural step");
  for (const auto& row : rows) {
    text +=
        fmt::format("{:>10.4g} {:>12.4g} {:>12.4g} | {:>12.4g} {:>12.4g} {:>12.4g}\n", row.factor,
                    row.gradient, row.natural, row.plain_step, row.scaled_step, row.natural_step);
  }
  return text + fmt::format(
                    "covariant components change as 1/factor, contravariant ones as factor; "
                    "off by {:.1e}: {}\n",
                    error, holds ? "holds" : "does not hold");
}

}  // namespace natgrad
