#include <natgrad/linalg/hutchinson.h>
#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <functional>

namespace natgrad {

using torch::Tensor;

namespace {

// Columns in one product with a block: at most 64, and not more than 32 MiB of float64.
constexpr int64_t kMostColumns = 64, kMostNumbers = 1 << 22;

int64_t columns_at_once(int64_t size) {
  return std::clamp<int64_t>(kMostNumbers / std::max<int64_t>(size, 1), 1, kMostColumns);
}

/// Mean and spread of what comes one by one (Welford 1962): exactly no spread for equal numbers.
class RunningMean {
 public:
  void add(const Tensor& x) {
    if (++count_ == 1) mean_ = torch::zeros_like(x), squares_ = torch::zeros_like(x);
    const auto difference = x - mean_;
    mean_ = mean_ + difference / count_;
    squares_ = squares_ + difference * (x - mean_);
  }
  Estimate estimate() const {
    return {mean_, (squares_ / static_cast<double>(count_ * (count_ - 1))).sqrt()};
  }

 private:
  int64_t count_ = 0;
  Tensor mean_, squares_;
};

/// [P, K]; by columns the same numbers whatever K is.
Tensor draw_probes(const LinearOperator& A, int64_t columns, at::Generator& generator,
                   Probes kind) {
  const std::array<int64_t, 2> shape = {columns, A.size()};
  const auto rows = kind == Probes::Rademacher
                        ? random_signs_like(torch::empty(shape, A.options()), generator)
                        : random_normal(shape, A.options(), generator);
  return rows.t();
}

/// The mean of sample(v ⊙ A v) over the probes.
Estimate average(const LinearOperator& A, int64_t probes, at::Generator generator, Probes kind,
                 const std::function<Tensor(const Tensor& v_times_Av)>& sample) {
  TORCH_CHECK(probes >= 1, "natgrad: an estimate of ", A.name(),
              "'s trace or diagonal takes at least one probe, but got ", probes, ".");
  torch::NoGradGuard no_grad;
  RunningMean mean;
  for (int64_t done = 0; done < probes;) {
    const auto columns = std::min(columns_at_once(A.size()), probes - done);
    const auto v = draw_probes(A, columns, generator, kind);
    const auto products = (v * A.multiply(v)).to(torch::kDouble);
    for (int64_t k = 0; k < columns; ++k) mean.add(sample(products.select(1, k)));
    done += columns;
  }
  return mean.estimate();
}

}  // namespace

Estimate hutchinson_trace(const LinearOperator& A, int64_t probes, at::Generator generator,
                          Probes kind) {
  return average(A, probes, std::move(generator), kind,
                 [](const Tensor& v_times_Av) { return v_times_Av.sum(); });
}

Estimate hutchinson_diagonal(const LinearOperator& A, int64_t probes, at::Generator generator,
                             Probes kind) {
  return average(A, probes, std::move(generator), kind,
                 [](const Tensor& v_times_Av) { return v_times_Av; });
}

Tensor exact_diagonal(const LinearOperator& A) {
  const torch::NoGradGuard no_grad;
  if (const auto& form = A.root_form(); form && form->root->matrix) {
    return form->root->matrix().square().sum(0).mul_(form->scale).add_(form->shift);
  }
  const auto result = torch::empty({A.size()}, A.options());
  for (int64_t start = 0; start < A.size();) {
    const auto columns = std::min(columns_at_once(A.size()), A.size() - start);
    const auto units = torch::zeros({A.size(), columns}, A.options());
    units.narrow(0, start, columns).fill_diagonal_(1);
    result.narrow(0, start, columns).copy_(A.multiply(units).narrow(0, start, columns).diagonal());
    start += columns;
  }
  return result;
}

}  // namespace natgrad
