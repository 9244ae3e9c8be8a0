#include <fmt/format.h>
#include <natgrad/curvature/gradient_noise.h>
#include <natgrad/curvature/monte_carlo_fisher.h>
#include <natgrad/graph/loss_graph.h>
#include <torch/torch.h>
#include "graph/loss_graph_state.h"

#include "curvature/outer_products.h"
#include "curvature/output_root.h"

namespace natgrad {

using torch::Tensor;

namespace {

void check_samples(int64_t samples) {
  TORCH_CHECK(samples >= 1,
              "natgrad: a Monte Carlo Fisher matrix needs at least 1 sample, but got ", samples,
              ".");
}

/// One draw for each example: √s times the score of a target from the model.
ExampleVectors draw(const LossGraph& graph, const LossTerm& term, const Tensor& root_of_weights,
                    const at::Generator& generator, int64_t samples) {
  const auto& likelihood = *term.likelihood;
  ExampleVectors set;
  set.u.resize(graph.outputs());
  set.u[term.output] = (root_of_weights * likelihood.score(likelihood.sample(generator))).detach();
  const auto options = likelihood.outputs().options().requires_grad(false);
  set.scale = torch::ones({likelihood.examples()}, options);
  set.weights = set.scale / static_cast<double>(samples);
  return set;
}

}  // namespace

LinearOperator monte_carlo_fisher(const LossGraph& graph, int64_t samples, at::Generator generator,
                                  FisherWeights choice) {
  check_samples(samples);
  check_has_fisher(graph);
  torch::NoGradGuard no_grad;
  std::vector<ExampleVectors> sets;
  for (const auto& term : graph.terms()) {
    const auto roots = roots_of_weights(term, choice);
    for (int64_t j = 0; j < samples; ++j) {
      sets.push_back(draw(graph, term, roots, generator, samples));
    }
  }
  return sum_of_outer_products(graph, "Monte Carlo Fisher matrix", std::move(sets));
}

CurvatureAt MonteCarloFisher::at(const LossGraph& graph) const {
  return {monte_carlo_fisher(graph, samples_, graph.generator(Purpose::Curvature), weights_),
          [graph, weights = weights_](at::Generator generator) {
            return gradient_noise(graph, std::move(generator), weights);
          }};
}

std::string MonteCarloFisher::describe() const {
  return fmt::format("MonteCarloFisher(samples={}{})", samples_,
                     weights_ == FisherWeights::OfTheLoss ? "" : ", weights=Uniform");
}

std::shared_ptr<const Curvature> MonteCarloFisher::clone() const {
  check_samples(samples_);
  return std::make_shared<MonteCarloFisher>(*this);
}

}  // namespace natgrad
