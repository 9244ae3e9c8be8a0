#pragma once

#include <natgrad/graph/loss_graph.h>

#include <memory>
#include <optional>
#include <vector>

#include "graph/linearization.h"
#include "graph/second_derivative.h"
#include "libtorch/hooks.h"

namespace natgrad {

struct LossGraph::State {
  State(torch::Tensor loss, std::vector<torch::Tensor> parameters, at::Generator generator);
  torch::Tensor loss;
  ParameterLayout parameters;
  at::Generator generator;
  torch::autograd::edge_list outputs;
  std::vector<LossTerm> terms;
  torch::Tensor gradient;                   // by one pass, on first use
  std::optional<int64_t> negative_weights;  // counted on first use
  std::unique_ptr<const Linearization> linearization;
  struct {
    torch::autograd::edge_list edges;
    std::vector<torch::Tensor> coefficients;
    bool empty() const { return edges.empty(); }
  } penalties;
  std::optional<SecondDerivative> penalty_hessian;  // built on first use
  std::optional<SuspendedRetainGrad> suspended;
  bool is_read = false;
  std::exception_ptr reading_error;
};

}  // namespace natgrad
