#include "fuzz/oracle.h"

#include <torch/torch.h>

#include <algorithm>

#include "support/dense_oracles.h"

namespace natgrad::testing::fuzz {
namespace {

/// One output of a term: how it hangs on the parameters, and what the loss does above it.
struct Output {
  const Term* term = nullptr;
  size_t index = 0;  // of the term's outputs
  Tensor z;
  Tensor J, H, g;  // [n, P], [n, n], [n]
  Tensor F;        // Σ s F_R, [n, n]; undefined where it is not known
  Tensor weights;  // s by element; undefined for a loss of the user's own
};

Tensor diagonal_of(const Tensor& d) { return torch::diag(d.reshape({-1})); }

/// Which elements of z make each observation, [observations, outputs of one].
Tensor observations_of(Family family, const Tensor& z) {
  const auto index = torch::arange(z.numel()).view(z.sizes());
  switch (family) {
    case Family::Categorical:
    case Family::NamedLogits:
      return index.movedim(1, -1).reshape({-1, z.size(1)});
    case Family::LogStd: {
      const auto half = z.size(1) / 2;
      return torch::stack({index.narrow(1, 0, half), index.narrow(1, half, half)}, -1)
          .reshape({-1, 2});
    }
    default:
      return index.reshape({-1, 1});
  }
}

/// diag(p) - p pᵀ for each observation, times its weight.
Tensor categorical_fisher(const Tensor& z, const Tensor& observations, const Tensor& s) {
  auto F = torch::zeros({z.numel(), z.numel()}, torch::kDouble);
  for (int64_t i = 0; i < observations.size(0); ++i) {
    const auto p = z.reshape({-1}).index({observations[i]}).softmax(0);
    const auto block = s[i] * (torch::diag(p) - torch::outer(p, p));
    F.index_put_({observations[i].unsqueeze(1), observations[i].unsqueeze(0)}, block);
  }
  return F;
}

/// s of a softmax by its Hessian s (diag(p) - p pᵀ): the ratio of the traces.
Tensor weights_of_logits(const Output& output, const Tensor& z) {
  const auto observations = observations_of(Family::Categorical, z);
  auto s = torch::zeros({z.numel()}, torch::kDouble);
  for (int64_t i = 0; i < observations.size(0); ++i) {
    const auto p = z.reshape({-1}).index({observations[i]}).softmax(0);
    const auto trace = output.H.diagonal().index({observations[i]}).sum();
    const auto one = 1 - p.square().sum();
    const auto weight = one.item<double>() > 0 ? trace / one : torch::zeros_like(trace);
    s.index_put_({observations[i]}, weight);
  }
  return s.view(z.sizes());
}

/// F_R of each element.
Tensor fisher_of_one(const Term& term, const Tensor& z) {
  if (term.family == Family::Poisson) return z.exp();
  if (term.family == Family::Bernoulli) return z.sigmoid() * (-z).sigmoid();
  return torch::full_like(z, 1 / term.variance);
}

/// F_R of one output of a family whose Hessian it is, by what Hessians of the kinds look like.
void add_distribution(Output& output) {
  const auto& term = *output.term;
  const auto z = output.z.detach();
  switch (term.family) {
    case Family::Categorical:
      output.F = output.H;
      output.weights = weights_of_logits(output, z);
      break;
    case Family::Bernoulli:
    case Family::Gaussian:
    case Family::Poisson:
      output.F = output.H;
      output.weights = output.H.diagonal().view(z.sizes()) / fisher_of_one(term, z);
      break;
    case Family::GivenFisher:
      output.F = diagonal_of(term.fisher[output.index].expand_as(z));
      output.weights = term.weights;
      break;
    case Family::LogStd: {
      const auto half = z.size(1) / 2;
      const auto s = term.weights.expand({z.size(0), half});
      const auto precision = torch::exp(-2 * z.narrow(1, half, half));
      output.F = diagonal_of(torch::cat({s * precision, 2 * s}, 1));
      output.weights = torch::cat({s, s}, 1);
      break;
    }
    case Family::NamedLogits: {
      const auto observations = observations_of(term.family, z);
      const auto s = torch::full({observations.size(0)}, 1.0 / z.size(0), torch::kDouble);
      output.F = categorical_fisher(z, observations, s);
      break;
    }
    case Family::Own:
    case Family::Unknown:
      break;
  }
}

/// Those of terms that no parameter reaches are constants.
std::vector<Output> outputs_of(const Program& program) {
  const Trainable trainable(program.parameters());
  std::vector<Output> outputs;
  for (const auto& term : program.terms()) {
    std::vector<Tensor> leaves;
    if (std::none_of(term.z.begin(), term.z.end(),
                     [&](const Tensor& z) { return trainable.reaches(z); })) {
      continue;
    }
    for (const auto& z : term.z) leaves.push_back(z.detach().clone().requires_grad_());
    const auto loss = term.loss(leaves);
    for (size_t k = 0; k < term.z.size(); ++k) {
      Output output;
      output.term = &term;
      output.index = k;
      output.z = term.z[k];
      output.J = trainable.rows(term.z[k]);
      output.g = gradient_of(loss, {leaves[k]}).detach();
      output.H = hessian(loss, {leaves[k]}).detach();
      add_distribution(output);
      outputs.push_back(std::move(output));
    }
  }
  return outputs;
}

/// Σ Jᵀ A J over the outputs; undefined if some A is.
template <class Matrix>
Tensor pulled_back(const std::vector<Output>& outputs, Matrix matrix) {
  Tensor sum;
  for (const auto& output : outputs) {
    const Tensor A = matrix(output);
    if (!A.defined()) return {};
    const auto part = output.J.t().mm(A).mm(output.J);
    sum = sum.defined() ? sum + part : part;
  }
  return sum;
}

/// Σ s Q: each observation's F_R cut down to its part along the natural gradient.
Tensor scored(const Output& output) {
  if (!output.F.defined()) return {};
  const auto observations = observations_of(output.term->family, output.z);
  if (observations.size(1) == 1) return output.F;
  auto Q = torch::zeros_like(output.F);
  for (const auto& elements : observations.unbind()) {
    const auto rows = elements.unsqueeze(1), columns = elements.unsqueeze(0);
    const auto g = output.g.index({elements});
    const auto F = output.F.index({rows, columns});
    const auto size = g.dot(torch::linalg_pinv(F, 1e-12).mv(g));
    if (size.item<double>() > 1e-280) Q.index_put_({rows, columns}, torch::outer(g, g) / size);
  }
  return Q;
}

/// Each example's weight: the mean over its observations that count.
Tensor example_weights(const Output& output) {
  const auto s = output.weights.expand_as(output.z).reshape({output.z.size(0), -1});
  return s.sum(1) / s.ne(0).sum(1).clamp_min(1);
}

/// Σ sᵢ gᵢgᵢᵀ with gᵢ = γᵢ/sᵢ; undefined where weights are negative, which is refused.
Tensor empirical_fisher_of(const std::vector<Output>& outputs) {
  if (outputs.empty()) return {};
  const auto n = outputs.front().z.size(0);
  Tensor s, shares = torch::zeros({n, outputs.front().J.size(1)}, torch::kDouble);
  for (const auto& output : outputs) {
    const auto weighed = output.g.unsqueeze(1) * output.J;
    shares += weighed.view({n, -1, weighed.size(1)}).sum(1);
    if (!output.weights.defined()) continue;
    const auto of_output = example_weights(output);
    s = s.defined() ? torch::where(of_output.abs() > s.abs(), of_output, s) : of_output;
  }
  if (!s.defined()) s = torch::full({n}, 1.0 / static_cast<double>(n), torch::kDouble);
  if (s.lt(0).any().item<bool>()) return {};
  const auto reciprocal = torch::where(s.eq(0), torch::zeros_like(s), 1 / s);
  return shares.t().mm(reciprocal.unsqueeze(1) * shares);
}

/// Whether s of each element is known; of a single class nothing tells it.
bool knows_weights(const Output& output) {
  const auto family = output.term->family;
  if (family == Family::Categorical && output.z.size(1) == 1) return false;
  return family == Family::Own || family == Family::NamedLogits || output.weights.defined();
}

bool share_outputs(const std::vector<Output>& outputs) {
  for (size_t i = 0; i < outputs.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (outputs[i].z.is_same(outputs[k].z)) return true;
    }
  }
  return false;
}

bool has_negative_weights(const std::vector<Output>& outputs) {
  return std::any_of(outputs.begin(), outputs.end(),
                     [](const Output& output) { return output.term->factor < 0; });
}

std::function<Tensor(const Tensor&)> hessian_products(const Program& program, const Tensor& loss) {
  const Trainable trainable(program.parameters());
  return [=](const Tensor& v) {
    const auto none = torch::zeros_like(v);
    if (trainable.tensors.empty() || !loss.requires_grad()) return none;
    const auto gradients =
        torch::autograd::grad({loss}, trainable.tensors, {}, true, /*create_graph=*/true, true);
    Tensor along = torch::zeros({}, torch::kDouble);
    int64_t at = 0;
    const auto direction = v.index({trainable.columns});
    for (size_t i = 0; i < gradients.size(); ++i) {
      const auto part = direction.narrow(0, at, trainable.tensors[i].numel());
      if (gradients[i].defined()) along = along + gradients[i].reshape({-1}).dot(part);
      at += part.numel();
    }
    return trainable.rows(along)[0];
  };
}

}  // namespace

Trainable::Trainable(const std::vector<Tensor>& parameters) {
  std::vector<Tensor> places = {torch::empty({0}, torch::kLong)};
  for (const auto& p : parameters) {
    if (p.requires_grad()) {
      tensors.push_back(p);
      places.push_back(torch::arange(size, size + p.numel()));
    }
    size += p.numel();
  }
  columns = torch::cat(places);
}

bool Trainable::reaches(const Tensor& y) const {
  if (tensors.empty() || !y.requires_grad()) return false;
  const auto gradients = torch::autograd::grad({y.sum()}, tensors, {}, true, false, true);
  return std::any_of(gradients.begin(), gradients.end(),
                     [](const Tensor& g) { return g.defined(); });
}

Tensor Trainable::rows(const Tensor& y) const {
  const auto all = torch::zeros({y.numel(), size}, torch::kDouble);
  if (tensors.empty() || !y.requires_grad()) return all;
  return all.index_copy(1, columns, jacobian(y, tensors));
}

Oracle oracle_of(const Program& program, const Tensor& loss) {
  Oracle oracle;
  const auto outputs = outputs_of(program);
  oracle.gradient = Trainable(program.parameters()).rows(loss)[0];
  oracle.has_terms = !outputs.empty();
  oracle.hessian = hessian_products(program, loss);
  oracle.gauss_newton = pulled_back(outputs, [](const Output& o) { return o.H; });
  const auto absolute = pulled_back(outputs, [](const Output& o) {
    return (o.F.defined() ? o.F.abs() + o.H.abs() : o.H.abs()) + o.g.abs().sum();
  });
  oracle.fisher = pulled_back(outputs, [](const Output& o) { return o.F; });
  const bool are_apart = !share_outputs(outputs);
  if (are_apart && std::all_of(outputs.begin(), outputs.end(), knows_weights)) {
    oracle.empirical_fisher = empirical_fisher_of(outputs);
  }
  if (are_apart && !has_negative_weights(outputs)) oracle.score_rows = pulled_back(outputs, scored);
  for (const auto& o : outputs) {
    const bool is_unknown = o.term->family == Family::Unknown;
    oracle.must_be_refused =
        oracle.must_be_refused ||
        (is_unknown && o.J.abs().max().item<double>() > 0 && o.g.abs().max().item<double>() > 0);
    oracle.scale += (o.J.abs().t().mm((o.H.abs()).mm(o.J.abs()))).norm().item<double>();
  }
  oracle.is_finite = (!absolute.defined() || absolute.isfinite().all().item<bool>()) &&
                     loss.isfinite().item<bool>() && oracle.gradient.isfinite().all().item<bool>();
  return oracle;
}

}  // namespace natgrad::testing::fuzz
