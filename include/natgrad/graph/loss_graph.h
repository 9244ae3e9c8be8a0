#pragma once

#include <natgrad/export.h>
#include <natgrad/likelihoods/likelihood.h>
#include <natgrad/linalg/parameters.h>
#include <natgrad/linalg/random.h>
#include <torch/csrc/autograd/function.h>

#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace natgrad {

namespace detail {
class Linearization;
class SecondDerivative;
struct OutputsNode;
}  // namespace detail

/// When a loss's terms are read off its graph.
enum class Terms {
  Required,  ///< at once: a loss that cannot be read throws
  WhenAsked  ///< when something asks for them: until then any loss will do
};

/// One term of the loss, as its graph tells it.
struct NATGRAD_EXPORT LossTerm {
  size_t output = 0;  ///< which of the graph's outputs is its z
  /// r(·|z); of a loss of the user's own, the distribution named with `outputs`, or null.
  std::shared_ptr<const Likelihood> likelihood;
  torch::Tensor weights;   ///< s, broadcastable to z; undefined for a loss of the user's own
  torch::Tensor gradient;  ///< ∂(term)/∂z, which can be differentiated again by
  torch::autograd::Edge argument;  ///< z: the output's edge, or a leaf that stands for it

  bool is_own() const { return !weights.defined(); }
};

/// What the optimizer knows of one loss: h(θ) = Σ terms L(y, z), z = f(x, θ), read off the autograd
/// graph.
///
///     auto graph = natgrad::LossGraph(loss, model->parameters());
///     auto G = natgrad::gauss_newton(graph);
///
/// h may also hold penalties on θ: they are part of ∇h, and have a Hessian of their own.
///
/// Built by one pass from the loss to its terms; ∇h costs one backward pass when it is first asked
/// for. `backward()` must not have freed the graph; `.grad` is not touched. A copy shares the
/// graph.
///
/// Throws `c10::Error` if the loss is not a real scalar with a graph; and, now or when its terms
/// are first asked for, if parts of it are no term that natgrad can read (naming the node and the
/// way out) or it is not linear in its terms. A graph that has been freed throws with the first
/// pass through what is gone.
class NATGRAD_EXPORT LossGraph {
 public:
  /// A parameter that is frozen or takes no part counts as constant: its gradient, and its rows of
  /// every curvature, are zero. `generator` draws the random probes.
  LossGraph(const torch::Tensor& loss, std::vector<torch::Tensor> parameters,
            at::Generator generator = make_generator(0), Terms terms = Terms::Required);

  LossGraph(const torch::Tensor& loss, std::vector<torch::Tensor> parameters, Terms terms)
      : LossGraph(loss, std::move(parameters), make_generator(0), terms) {}

  /// Whether the terms can be read. Where not, everything below but `parameters`, `gradient` and
  /// `root` throws the reason.
  bool is_readable() const;
  const std::vector<LossTerm>& terms() const;
  /// The outputs' edges; terms with the same z share one.
  const torch::autograd::edge_list& outputs() const;
  const ParameterLayout& parameters() const;
  /// ∇h(θ) at the parameters of the forward pass, [P]: a backward pass on first use, then kept.
  const torch::Tensor& gradient() const;
  /// Where a gradient of the loss enters its graph.
  torch::autograd::Edge root() const;
  /// Draws the random probes.
  at::Generator generator() const;
  /// J and Jᵀ; built on first use and then kept.
  const detail::Linearization& linearization() const;
  /// Throws if any product of the linearization since the last call was wrong, as its `verify`.
  void verify() const;
  /// ∇²_z of the loss times v: v and the result have one tensor per output. By double backward on
  /// the loss's own nodes, each with all other terms' inputs held fixed; no likelihood is asked.
  std::vector<torch::Tensor> multiply_loss_hessian(const std::vector<torch::Tensor>& v) const;
  /// Whether the loss has penalties: parts that depend on parameters past all terms.
  bool has_penalties() const;
  /// ∇²_θ of the penalties; built on first use and then kept.
  const detail::SecondDerivative& penalty_hessian() const;
  /// How many of the terms' weights are negative: Gauss-Newton is then indefinite.
  int64_t negative_weights() const;
  /// The number of examples of a term: as its likelihood has it, else the length of dimension 0.
  int64_t examples_of(const LossTerm& term) const;
  /// The number of examples of the terms (the largest, if they differ). Throws, saying what needs
  /// it, if the loss cannot be read.
  int64_t examples() const;

 private:
  struct State;
  State& read() const;
  void read_terms() const;
  void add_term(const torch::autograd::Edge& node, const torch::Tensor& coefficient) const;
  void merge(LossTerm term) const;
  void check_mark(const detail::OutputsNode& mark) const;
  size_t output_index(const torch::autograd::Edge& edge) const;

  std::shared_ptr<State> state_;
};

/// What `part` answers for each term, added up by output; undefined where an output has no term.
NATGRAD_EXPORT std::vector<torch::Tensor> sum_by_output(
    const LossGraph& graph, const std::function<torch::Tensor(const LossTerm& term)>& part);

/// Whether some of the outputs z are finite: then a loss that is NaN comes from the data, not from
/// the parameters. Outputs that `natgrad::outputs` marks without a distribution are not kept in the
/// graph, and count as not finite. Throws as `find_parts` does.
NATGRAD_EXPORT bool has_finite_outputs(const torch::Tensor& loss,
                                       const std::vector<torch::Tensor>& parameters);

}  // namespace natgrad
