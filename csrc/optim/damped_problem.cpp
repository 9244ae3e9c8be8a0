#include "optim/damped_problem.h"

#include <torch/torch.h>

namespace natgrad::detail {

using torch::Tensor;

namespace {

/// D; none for the identity.
std::optional<LinearOperator> matrix_of(const StepData& data, const Damping& damping) {
  const auto d = damping.diagonal();
  return d.defined() ? std::optional(diagonal_operator(d)) : data.of_curvature().damping_matrix();
}

}  // namespace

LinearOperator damped_matrix(const StepData& data, const LinearOperator& C,
                             const Damping& damping) {
  const auto D = matrix_of(data, damping);
  return D ? C + damping.lambda() * *D : C + damping.lambda();
}

DampedProblem damped_problem(const StepData& data, const LinearOperator& C, const Damping& damping,
                             double start, const Tensor& previous) {
  const double lambda = damping.lambda();
  const auto D = matrix_of(data, damping);
  const auto weighted = D ? std::optional(lambda * *D) : std::nullopt;  // λD; none for D = I

  const bool is_centred = damping.centre() > 0;
  const double share = is_centred ? damping.centre() : start;
  const Tensor initial = previous.defined() && share > 0 ? share * previous : Tensor();
  Tensor b = -data.h().gradient();
  if (is_centred && initial.defined()) {
    b.add_(weighted ? weighted->multiply(initial) : lambda * initial);
  }
  const auto damped = weighted ? C + *weighted : C + lambda;
  LinearSystem system{damped, b, initial};
  system.radius = damping.radius();
  return {system, std::nullopt, previous, {}};
}

DampedProblem damped_problem_by_rows(const StepData& data, const RowForm& rows,
                                     const LinearOperator& C, const Damping& damping,
                                     const Tensor& previous) {
  const auto& h = data.h();
  const double lambda = damping.lambda(), mu = damping.centre();
  const auto& layout = h.parameters();
  const auto& root = *rows.root;
  // Before the braces: where an initialiser in them throws (memory may run out in a product), GCC
  // 12 destroys the ones before it twice.
  const auto damped = damped_matrix(data, C, damping);
  const auto previous_in_rows = previous.defined() ? root.multiply(previous) : Tensor();
  LeastSquares rows_problem{rows.root, layout.size(), rows.targets, lambda};
  const bool is_centred = previous.defined() && mu > 0;
  const auto& w = h.weight_decay();
  const double decay = w.defined() ? w.item<double>() : 0;
  const auto D = damping.diagonal();
  if (D.defined()) {
    rows_problem.shift = 1;
    rows_problem.scales = (lambda * D + decay).sqrt();
  } else {
    rows_problem.shift = lambda + decay;
  }
  if (decay != 0) {
    auto centre = -decay * h.gradient_scale() * layout.values();
    if (is_centred) centre.add_(D.defined() ? D * previous : previous, lambda * mu);
    rows_problem.centre =
        D.defined() ? centre.div_(rows_problem.scales.square()) : centre.div_(rows_problem.shift);
    rows_problem.centre_product = root.multiply(rows_problem.centre);
  } else if (is_centred) {
    rows_problem.centre = mu * previous;
    rows_problem.centre_product = mu * previous_in_rows;
  }
  return {{damped, {}}, rows_problem, previous, previous_in_rows};
}

}  // namespace natgrad::detail
