#include "graph/reading.h"

#include <torch/csrc/autograd/variable.h>
#include <torch/torch.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "graph/backward.h"
#include "graph/coefficients.h"
#include "graph/mark_nodes.h"
#include "graph/spread_terms.h"
#include "graph/term_readers.h"
#include "graph/walk.h"
#include "libtorch/nodes.h"

namespace natgrad::detail {
namespace {

using torch::Tensor;
using torch::autograd::Edge;
using torch::autograd::edge_list;

/// Where `edge` stands among `edges`, at the end if it was not there.
size_t index_of(const Edge& edge, edge_list& edges) {
  const auto found = std::find(edges.begin(), edges.end(), edge);
  const auto index = static_cast<size_t>(found - edges.begin());
  if (index == edges.size()) edges.push_back(edge);
  return index;
}

/// One distribution counts once.
void check_mark(const Reading& reading, const OutputsNode& mark) {
  check_unchanged(*mark.distribution, mark.version);
  for (const auto& term : reading.terms) {
    const auto* other = outputs_mark(reading.outputs[term.output]);
    NATGRAD_CHECK_READABLE(
        !other || !other->distribution || other->next_edge(0) != mark.next_edge(0),
        "natgrad: the outputs of ", mark.distribution->describe(),
        " are marked twice, and would count twice. Mark them once, auto z = "
        "natgrad::outputs(distribution), and use z throughout the loss.");
  }
}

void merge(Reading& reading, LossTerm added, const Edge& argument) {
  for (size_t k = 0; k < reading.terms.size(); ++k) {
    auto& term = reading.terms[k];
    const bool same = !term.is_own() && term.output == added.output &&
                      reading.arguments[k] == argument &&
                      term.likelihood->same_family(*added.likelihood);
    if (!same) continue;
    term.weights = term.weights + added.weights;
    term.gradient = term.gradient + added.gradient;
    return;
  }
  reading.terms.push_back(std::move(added));
  reading.arguments.push_back(argument);
}

void add_outputs(Reading& reading, const Edge& z, std::shared_ptr<const Likelihood> distribution,
                 const Tensor& gradient) {
  const auto* mark = outputs_mark(z);
  if (mark && mark->distribution) check_mark(reading, *mark);
  reading.terms.push_back(
      {index_of(z, reading.outputs), std::move(distribution), Tensor(), gradient});
  reading.arguments.push_back(z);
}

void add_term(Reading& reading, const Edge& node, const Tensor& coefficient, TermReading term) {
  if (!term.gradient.defined()) {
    term.argument = term.outputs;
    term.gradient =
        backward({node}, {coefficient.detach()}, {term.outputs}, Pass::Differentiable).front();
  }
  merge(reading,
        {index_of(term.outputs, reading.outputs), term.likelihood, term.weights, term.gradient},
        term.argument);
}

// Two roundings of the same numbers in float32.
constexpr double kSameNumbers = 1e-4;

bool are_same(const Tensor& a, const Tensor& b) {
  return a.sizes() == b.sizes() && ((a - b).abs() <= kSameNumbers * b.abs()).all().item<bool>();
}

/// Whether another op's result lies below.
bool is_above(const Edge& upper, const Edge& lower) {
  return upper.function != lower.function && reached_from(upper, {lower}).front();
}

/// Terms with linear parts, which are found elsewhere in the loss.
class Terms {
 public:
  explicit Terms(Reading& reading) : reading_(reading) {}

  void add(const Edge& node, const Tensor& coefficient) {
    add_term(reading_, node, coefficient, read_term(*node.function, coefficient));
    auto second = read_second_term(*node.function, coefficient);
    if (!second) return;
    const auto first = reading_.outputs[reading_.terms.back().output];
    are_nested_ =
        are_nested_ || is_above(first, second->outputs) || is_above(second->outputs, first);
    second->argument = second->outputs;
    auto gradient =
        backward({node}, {coefficient.detach()}, {second->outputs}, Pass::Differentiable).front();
    normalised_.push_back(
        {reading_.terms.size(), second->normaliser, second->is_normalised_by_log, {}});
    reading_.terms.push_back({index_of(second->outputs, reading_.outputs), second->likelihood,
                              second->weights, std::move(gradient)});
    reading_.arguments.push_back(second->argument);
  }

  /// b·z of c·A(z) + b·z, or b·log z.
  void add_linear(const Edge& edge, const Tensor& b) {
    const bool is_log = op_of(*edge.function) == Op::Log && find(edge) == reading_.terms.size();
    const auto [z, factor, is_undone] = is_log ? logarithm_at(edge) : Logarithm{edge, 1, false};
    const auto index = find(z);
    NATGRAD_CHECK_READABLE(
        index < reading_.terms.size(),
        "natgrad: the loss is linear in outputs that no term of it has. If they are the spread of "
        "a Gaussian, write natgrad::nll(natgrad::LogStdGaussian(torch::cat({mean, log_std}, 1)), "
        "y), or r² exp(-2 log_std) / 2 + log_std with r = y - mean.");
    auto& term = reading_.terms[index];
    bool may_be_log = false;
    for (auto& normalised : normalised_) {
      const bool is_log_of_z = is_log && !is_undone;
      if (normalised.term != index || normalised.is_by_log != is_log_of_z) continue;
      may_be_log = true;
      const auto s = (factor * b / normalised.share).detach();
      normalised.s = normalised.s.defined() ? normalised.s + s : s;
    }
    NATGRAD_CHECK_READABLE(!is_log || may_be_log,
                           "natgrad: the loss holds log(z) of outputs z that are no variance.");
    const auto added =
        is_log ? backward({edge}, {b.detach()}, {z}, Pass::Differentiable).front() : b.detach();
    term.gradient = term.gradient + added;
  }

  /// Gives each spread the weight that its normaliser has. Throws `UnreadableLoss` for one without,
  /// and for one that is made of the mean, or the other way round: the terms' gradients would hold
  /// one another's.
  void normalise() {
    for (const auto& [term, share, is_by_log, s] : normalised_) {
      auto& weights = reading_.terms[term].weights;
      // Any other positive s is that of a variance k v: r²/(k v) + log v.
      NATGRAD_CHECK_READABLE(
          s.defined() && s.sizes() == weights.sizes() &&
              (are_same(s, weights) || s.gt(0).all().item<bool>()),
          "natgrad: the loss holds r²/v without the log(v) that belongs to it, as in "
          "0.5 * (log(v) + r²/v).");
      weights = s;
    }
    NATGRAD_CHECK_READABLE(!are_nested_,
                           "natgrad: the loss holds r²/v where the residuals r are made of the "
                           "variances v, or these of those.");
  }

 private:
  /// A term that is a likelihood only beside share·s·z, or share·s·log z.
  struct Normalised {
    size_t term;
    double share;
    bool is_by_log;
    Tensor s;  ///< by what was found of that, a sum
  };

  /// What the logarithm at that edge is of the outputs of a term.
  Logarithm logarithm_at(const Edge& edge) const {
    const auto known = logarithms_of(edge.function->next_edge(0));
    const auto found = std::find_if(known.begin(), known.end(), [&](const Logarithm& of) {
      return find(of.z) < reading_.terms.size();
    });
    return found == known.end() ? known.front() : *found;
  }

  size_t find(const Edge& z) const {
    size_t k = 0;
    while (k < reading_.terms.size() &&
           (reading_.terms[k].is_own() || reading_.outputs[reading_.terms[k].output] != z)) {
      ++k;
    }
    return k;
  }

  Reading& reading_;
  std::vector<Normalised> normalised_;
  bool are_nested_ = false;
};

// What the rounding of float32 leaves of a sum of probabilities and targets that cancel.
constexpr double kCancelled = 1e-4;

/// log Σ exp(z) is the normaliser of a softmax only if what is taken from it are targets, whose sum
/// is its weight.
void check_targets(const Reading& reading, const Edge& z, const torch::autograd::Node& node) {
  const auto dim = dimensions_of(node).dims.front();
  for (const auto& term : reading.terms) {
    if (reading.outputs[term.output] != z || term.is_own()) continue;
    const auto rest = term.gradient.detach().sum(dim).abs().max();
    const auto size = term.weights.abs().max();
    NATGRAD_CHECK_READABLE(
        (rest <= kCancelled * size).item<bool>(),
        "natgrad: the loss holds logsumexp(z) without targets that belong to it, as "
        "logsumexp(z, 1) - z.gather(1, y) has them. Any other function of outputs z takes "
        "natgrad::outputs(z).");
  }
}

void check_targets(const Reading& reading, const LossParts& parts) {
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    auto& node = *parts.edges[k].function;
    if (parts.kinds[k] != PartKind::Term || op_of(node) != Op::Logsumexp) continue;
    check_targets(reading, node.next_edge(0), node);
  }
}

Reading read_parts(const LossParts& parts, const Coefficients& coefficients) {
  Reading reading;
  Terms terms(reading);
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    const auto& edge = parts.edges[k];
    const auto& c = coefficients.own[k];
    switch (parts.kinds[k]) {
      case PartKind::Term:
        terms.add(edge, c);
        break;
      case PartKind::Linear:  // once the terms are known
        break;
      case PartKind::Outputs:
        add_outputs(reading, edge, parts.distributions[k], c);
        break;
      case PartKind::Penalty:
        reading.penalties.edges.push_back(edge);
        reading.penalties.coefficients.push_back(c.detach());
    }
  }
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    if (parts.kinds[k] == PartKind::Linear) {
      terms.add_linear(parts.edges[k], coefficients.own[k]);
    }
  }
  terms.normalise();
  return reading;
}

}  // namespace

Readable<Reading> read_loss(const Tensor& loss, const std::vector<Tensor>& parameters,
                            const std::function<at::Generator()>& generator) {
  const torch::AutoGradMode enable_grad(true);
  return as_readable([&] {
    const auto parts = find_parts(loss, parameters);
    const auto pass = parts.is_linear_by_kind ? Pass::Plain : Pass::Differentiable;
    const auto coefficients = coefficients_of(loss, parts, pass);
    if (!parts.is_linear_by_kind) check_linearity(parts, coefficients, generator());
    auto reading = read_parts(parts, coefficients);
    check_targets(reading, parts);
    return reading;
  });
}

namespace {

/// Coefficients, and what they tell of the parts.
struct Tried {
  Coefficients coefficients;
  std::vector<size_t> nonlinear;
  bool is_known;  ///< whether `nonlinear` holds all such parts
  bool is_differentiable;
};

/// Some op of the loss may not be differentiable twice.
Tried try_parts(const Tensor& loss, const LossParts& parts, at::Generator generator) {
  try {
    auto coefficients = coefficients_of(loss, parts, Pass::Differentiable);
    auto nonlinear = nonlinear_parts(parts, coefficients, std::move(generator));
    return {std::move(coefficients), std::move(nonlinear), true, true};
  } catch (const c10::NotImplementedError&) {
    return {coefficients_of(loss, parts, Pass::Plain), {}, parts.is_linear_by_kind, false};
  }
}

/// The terms among the parts in which the loss is not linear: all, where that is some output, or
/// where nothing can be known.
std::vector<const torch::autograd::Node*> terms_to_pass(const LossParts& parts,
                                                        const std::vector<size_t>& nonlinear,
                                                        bool is_known) {
  const bool all = !is_known || std::any_of(nonlinear.begin(), nonlinear.end(), [&](size_t k) {
    return parts.kinds[k] == PartKind::Outputs;
  });
  std::vector<const torch::autograd::Node*> passed;
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    const bool is_nonlinear = std::find(nonlinear.begin(), nonlinear.end(), k) != nonlinear.end();
    if (parts.kinds[k] == PartKind::Term && (all || is_nonlinear)) {
      passed.push_back(parts.edges[k].function.get());
    }
  }
  return passed;
}

/// Lower outputs hold what upper ones send through the network: their gradients are then no
/// function of z alone.
bool is_nested(const LossParts& parts, const Coefficients& coefficients) {
  for (size_t k = 0; k < parts.edges.size(); ++k) {
    const bool is_own = parts.kinds[k] == PartKind::Outputs;
    if (is_own && !coefficients.own[k].is_same(coefficients.received[k])) return true;
  }
  return false;
}

Reading value_or_unreadable(Readable<Reading> read) {
  NATGRAD_CHECK_READABLE(is_read(read), std::get<Refusal>(read).reason);
  return std::get<Reading>(std::move(read));
}

}  // namespace

Readable<Reading> read_substitute(const Tensor& loss, const std::vector<Tensor>& parameters,
                                  const std::function<at::Generator()>& generator,
                                  const Refusal& refusal) {
  const torch::AutoGradMode enable_grad(true);
  const auto reading = as_readable([&] {
    Substitution substitution;
    while (true) {
      const auto parts = find_substitute_parts(loss, parameters, substitution);
      const auto [coefficients, nonlinear, is_known, is_differentiable] =
          try_parts(loss, parts, generator());
      auto passed = terms_to_pass(parts, nonlinear, is_known);
      if (passed.empty()) {
        // Outputs may be nonlinear in one another; a penalty may not.
        for (const auto k : nonlinear) {
          NATGRAD_CHECK_READABLE(parts.kinds[k] != PartKind::Penalty, refusal.reason);
        }
        auto read = as_readable([&] { return read_parts(parts, coefficients); });
        passed = terms_to_pass(parts, {}, /*is_known=*/false);
        if (is_read(read) || passed.empty()) {
          auto found = value_or_unreadable(std::move(read));
          found.substitutes = refusal.reason;
          found.has_hessian = is_differentiable && !is_nested(parts, coefficients);
          return found;
        }
      }
      substitution.nonlinear.insert(passed.begin(), passed.end());
    }
  });
  return is_read(reading) ? reading : refusal;
}

namespace {

bool is_curved(const LossTerm& term) {
  return term.gradient.defined() && term.gradient.requires_grad();
}

/// A run of the engine: where it starts, and with what.
struct Start {
  edge_list roots;
  std::vector<Tensor> cotangents;

  void add(const LossTerm& term, const std::vector<Tensor>& v) {
    roots.push_back(torch::autograd::impl::gradient_edge(term.gradient));
    cotangents.push_back(v[term.output]);
  }
};

/// Of the user's own loss, which may couple several outputs, at these.
std::vector<Tensor> multiply_own_hessian(const Reading& reading, const std::vector<Tensor>& v,
                                         const edge_list& outputs) {
  Start own;
  for (const auto& term : reading.terms) {
    if (term.is_own() && is_curved(term)) own.add(term, v);
  }
  return backward(own.roots, own.cotangents, outputs, Pass::Plain, Marks::Hold);
}

/// Of a term that is not the user's own.
Tensor multiply_read_hessian(const Reading& reading, size_t k, const std::vector<Tensor>& v) {
  if (!is_curved(reading.terms[k])) return {};
  Start start;
  start.add(reading.terms[k], v);
  return backward(start.roots, start.cotangents, {reading.arguments[k]}).front();
}

}  // namespace

Tensor multiply_term_hessian(const Reading& reading, size_t k, const std::vector<Tensor>& v) {
  const auto& term = reading.terms[k];
  return term.is_own() ? multiply_own_hessian(reading, v, {reading.outputs[term.output]}).front()
                       : multiply_read_hessian(reading, k, v);
}

std::vector<Tensor> multiply_loss_hessian(const Reading& reading, const std::vector<Tensor>& v) {
  std::vector<Tensor> product(reading.outputs.size());
  const auto add = [&](size_t output, const Tensor& part) {
    if (!part.defined()) return;
    product[output] = product[output].defined() ? product[output] + part : part;
  };
  edge_list own_outputs;
  std::vector<size_t> own_indices;
  for (size_t k = 0; k < reading.terms.size(); ++k) {
    const auto output = reading.terms[k].output;
    if (!reading.terms[k].is_own()) {
      add(output, multiply_read_hessian(reading, k, v));
    } else {
      own_outputs.push_back(reading.outputs[output]);
      own_indices.push_back(output);
    }
  }
  const auto own = multiply_own_hessian(reading, v, own_outputs);
  for (size_t i = 0; i < own.size(); ++i) add(own_indices[i], own[i]);
  return product;
}

namespace {

bool all_finite(const Tensor& t) { return t.isfinite().all().item<bool>(); }

/// ∂(term)/∂z of a recognised node for a coefficient of 1, which shows the targets.
Tensor slope_of(const Edge& node, const TermReading& term) {
  if (term.gradient.defined()) return term.gradient;
  const auto one = torch::ones(shape_at(node), options_at(node));
  return backward({node}, {one}, {term.outputs}).front();
}

}  // namespace

Readable<bool> comes_from_data(const Tensor& loss, const std::vector<Tensor>& parameters) {
  return as_readable([&] {
    const auto parts = find_parts(loss, parameters);
    for (size_t k = 0; k < parts.edges.size(); ++k) {
      const auto& node = parts.edges[k];
      const bool is_term = parts.kinds[k] == PartKind::Term;
      std::optional<TermReading> term;
      if (is_term) term = read_term(*node.function, zeros_at(node));
      const auto likelihood = term ? term->likelihood : parts.distributions[k];
      if (!likelihood) continue;
      const auto& z = likelihood->outputs();
      const bool some_finite = z.isfinite().any().item<bool>();
      if (!all_finite(z) && some_finite) return true;  // of some examples
      if (term && some_finite && !all_finite(slope_of(node, *term))) return true;
    }
    return false;
  });
}

}  // namespace natgrad::detail
