#include <fmt/format.h>
#include <fmt/ranges.h>
#include <natgrad/likelihoods/domain.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>

namespace natgrad {

using torch::Tensor;

namespace {

bool all_finite(const std::vector<double>& numbers) {
  return std::all_of(numbers.begin(), numbers.end(), [](double x) { return std::isfinite(x); });
}

void sort_unique(std::vector<double>& numbers) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
}

}  // namespace

Domain Domain::real_line(std::vector<double> kinks) {
  return interval(-kInfinity, kInfinity, std::move(kinks));
}

Domain Domain::interval(double lower, double upper, std::vector<double> kinks) {
  TORCH_CHECK(lower < upper, "natgrad: an interval of targets needs lower < upper, but got [",
              lower, ", ", upper, "].");
  TORCH_CHECK(!kinks.empty() && all_finite(kinks),
              "natgrad: the kinks are finite values of y - z, at least one, but got {",
              fmt::format("{}", fmt::join(kinks, ", ")), "}; {0} suits most losses.");
  sort_unique(kinks);
  return {lower, upper, std::move(kinks), {}};
}

Domain Domain::values(std::vector<double> labels) {
  TORCH_CHECK(all_finite(labels), "natgrad: the values of a target are finite, but got {",
              fmt::format("{}", fmt::join(labels, ", ")), "}.");
  sort_unique(labels);
  TORCH_CHECK(labels.size() >= 2, "natgrad: a target has at least two different values, but got {",
              fmt::format("{}", fmt::join(labels, ", ")), "}.");
  return {labels.front(), labels.back(), {}, labels};
}

Tensor Domain::contains(const Tensor& y) const {
  if (!labels.empty()) return torch::isin(y, torch::tensor(labels, y.options()));
  return y.isfinite().logical_and(y.ge(lower)).logical_and(y.le(upper));
}

std::string Domain::describe() const {
  if (!labels.empty()) return fmt::format("{{{}}}", fmt::join(labels, ", "));
  return fmt::format("[{}, {}]", lower, upper);
}

}  // namespace natgrad
