#include <torch/torch.h>

#include <tuple>

#include "configuration/optimizers.h"

namespace natgrad::detail {

namespace {

template <class Optimizer, class Options>
OptimizerOf optimizer_with(Options options) {
  return [options](const Groups& groups) { return std::make_unique<Optimizer>(groups, options); };
}

/// Adam's and AdamW's.
template <class Optimizer, class Options>
OptimizerOf adam(Settings& s) {
  Options options;
  s.read("lr", options.lr());
  s.read("eps", options.eps());
  s.read("weight_decay", options.weight_decay());
  s.read("amsgrad", options.amsgrad());
  std::vector<double> betas = {std::get<0>(options.betas()), std::get<1>(options.betas())};
  s.read("betas", betas);
  TORCH_CHECK_VALUE(betas.size() == 2, "natgrad: \"betas\" of ", s.where(),
                    " are two numbers, but got ", betas.size(), ".");
  options.betas(std::make_tuple(betas[0], betas[1]));
  return optimizer_with<Optimizer>(options);
}

OptimizerOf sgd(Settings& s) {
  s.require("lr");
  torch::optim::SGDOptions options(s.get("lr", 0.));
  s.read("momentum", options.momentum());
  s.read("dampening", options.dampening());
  s.read("weight_decay", options.weight_decay());
  s.read("nesterov", options.nesterov());
  return optimizer_with<torch::optim::SGD>(options);
}

OptimizerOf rmsprop(Settings& s) {
  torch::optim::RMSpropOptions options;
  s.read("lr", options.lr());
  s.read("alpha", options.alpha());
  s.read("eps", options.eps());
  s.read("weight_decay", options.weight_decay());
  s.read("momentum", options.momentum());
  s.read("centered", options.centered());
  return optimizer_with<torch::optim::RMSprop>(options);
}

OptimizerOf adagrad(Settings& s) {
  torch::optim::AdagradOptions options;
  s.read("lr", options.lr());
  s.read("lr_decay", options.lr_decay());
  s.read("weight_decay", options.weight_decay());
  s.read("initial_accumulator_value", options.initial_accumulator_value());
  s.read("eps", options.eps());
  return optimizer_with<torch::optim::Adagrad>(options);
}

OptimizerOf lbfgs(Settings& s) {
  torch::optim::LBFGSOptions options;
  s.read("lr", options.lr());
  s.read("max_iter", options.max_iter());
  s.read("max_eval", options.max_eval());
  s.read("tolerance_grad", options.tolerance_grad());
  s.read("tolerance_change", options.tolerance_change());
  s.read("history_size", options.history_size());
  s.read("line_search_fn", options.line_search_fn());
  return optimizer_with<torch::optim::LBFGS>(options);
}

}  // namespace

const Makers<OptimizerOf>& libtorch_optimizer_makers() {
  using namespace torch::optim;
  static const Makers<OptimizerOf> makers = {{"adam", adam<Adam, AdamOptions>},
                                             {"adamw", adam<AdamW, AdamWOptions>},
                                             {"sgd", sgd},
                                             {"rmsprop", rmsprop},
                                             {"adagrad", adagrad},
                                             {"lbfgs", lbfgs}};
  return makers;
}

}  // namespace natgrad::detail
