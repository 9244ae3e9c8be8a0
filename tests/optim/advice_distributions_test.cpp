// Losses whose outputs have a distribution that only the user knows, as the advice has them.

#include <cmath>

#include "optim/advice_cases.h"

namespace natgrad::testing::advice_distributions_test {
namespace {

using namespace natgrad::testing::advice;

namespace F = torch::nn::functional;

// ---- Yes or no. ----

Model dice() {
  constexpr int64_t kPixels = 16;
  const auto centers = 12 * torch::rand({kExamples, 1}) + 2;
  const auto masks = ((torch::arange(kPixels) - centers).abs() < 2).to(torch::kFloat);
  const auto x = masks + 0.5 * torch::randn({kExamples, kPixels});
  return marked(mlp(kPixels, kPixels), mark_alone, [=](const Mark& f, int64_t k) {
    const auto p = torch::sigmoid(f(rows(x, k))), mask = rows(masks, k);
    return (1 - (2 * (p * mask).sum(1) + 1) / (p.sum(1) + mask.sum(1) + 1)).mean();
  });
}

struct Rare {
  Tensor x = torch::randn({kExamples, 6});
  Tensor y = (x.pow(2).narrow(1, 0, 3).sum(1) > 5).to(torch::kFloat).unsqueeze(1);
};

Model focal() {
  const Rare data;
  return marked(mlp(6, 1), named<Bernoulli>(), [=](const Mark& f, int64_t k) {
    const auto bce = torch::binary_cross_entropy_with_logits(f(rows(data.x, k)), rows(data.y, k),
                                                             {}, {}, at::Reduction::None);
    return ((1 - torch::exp(-bce)).pow(2) * bce).mean();
  });
}

Model clamped_sigmoid() {
  const Rare data;
  const auto net = mlp(6, 1);
  const auto f = forward_of(net);
  return {net->parameters(),
          [=](int64_t k) {
            const auto p = torch::sigmoid(f(rows(data.x, k)));
            return F::binary_cross_entropy(p.clamp(0.01, 0.99), rows(data.y, k));
          },
          [=](int64_t k) {
            return F::binary_cross_entropy_with_logits(f(rows(data.x, k)), rows(data.y, k));
          }};
}

Model epsilon_sigmoid() {
  const Rare data;
  const auto net = mlp(6, 1);
  const auto f = forward_of(net);
  return {net->parameters(),
          [=](int64_t k) {
            const auto p = torch::sigmoid(f(rows(data.x, k))), y = rows(data.y, k);
            return -(y * torch::log(p + 1e-2) + (1 - y) * torch::log(1 - p + 1e-2)).mean();
          },
          [=](int64_t k) {
            return F::binary_cross_entropy_with_logits(f(rows(data.x, k)), rows(data.y, k));
          }};
}

Model softplus_with_beta() {
  constexpr double kBeta = 2;
  const Rare data;
  const auto net = mlp(6, 1);
  const auto f = forward_of(net);
  return {net->parameters(),
          [=](int64_t k) {
            const auto z = f(rows(data.x, k));
            return (torch::softplus(z, kBeta) - rows(data.y, k) * z).mean();
          },
          [=](int64_t k) {
            const auto z = f(rows(data.x, k));
            return (torch::softplus(kBeta * z) / kBeta - rows(data.y, k) * z).mean();
          }};
}

// ---- Classes. ----

Model ctc() {
  constexpr int64_t kLetters = 3, kFrames = 12, kAlphabet = 4;  // and the blank, 0
  const auto letters = torch::randint(1, kAlphabet + 1, {kExamples, kLetters});
  const auto sounds = torch::randn({kAlphabet + 1, 8});
  const auto clean = sounds.index({letters.repeat_interleave(kFrames / kLetters, 1)});
  const auto x = clean + 0.3 * torch::randn_like(clean);  // [N, T, 8]
  const Mark mark = [](const Tensor& logits) { return outputs(Categorical(logits, 2)); };
  return marked(mlp(8, kAlphabet + 1), mark, [=](const Mark& f, int64_t k) {
    const auto log_p = f(rows(x, k)).log_softmax(2).transpose(0, 1);
    return F::ctc_loss(log_p, rows(letters, k), torch::full({kBatch}, kFrames, torch::kLong),
                       torch::full({kBatch}, kLetters, torch::kLong));
  });
}

Model ctc_under_fisher() {
  auto model = ctc();
  model.options.curvature(Fisher());
  return model;
}

Model entropy_bonus() {
  const auto x = torch::randn({kExamples, 8});
  const auto y = torch::tanh(x.mm(torch::randn({8, 3}))).argmax(1);
  return marked(mlp(8, 3), named<Categorical>(), [=](const Mark& f, int64_t k) {
    const auto z = f(rows(x, k));
    const auto p = z.softmax(1);
    return F::cross_entropy(z, rows(y, k)) + 0.1 * (p * (p + 1e-8).log()).sum(1).mean();
  });
}

// ---- Means, spreads, rates. ----

struct Noisy {
  Tensor x = 2 * torch::rand({kExamples, 2}) - 1;
  Tensor y = torch::sin(3 * x.narrow(1, 0, 1)) +
             0.2 * (1.2 + x.narrow(1, 1, 1)) * torch::randn({kExamples, 1});
};

Model softplus_sigma() {
  const Noisy data;
  const auto net = mlp(2, 2);
  const auto f = forward_of(net);
  const auto parts = [=](int64_t k) {
    const auto z = f(rows(data.x, k)).chunk(2, 1);
    return std::pair(z[0], torch::softplus(z[1]) + 1e-3);
  };
  return {net->parameters(),
          [=](int64_t k) {
            const auto [mean, sigma] = parts(k);
            return (0.5 * ((rows(data.y, k) - mean) / sigma).pow(2) + sigma.log()).mean();
          },
          [=](int64_t k) {
            const auto [mean, sigma] = parts(k);
            return nll(LogStdGaussian(torch::cat({mean, sigma.log()}, 1)), rows(data.y, k));
          }};
}

Model log_sigma() {
  const Noisy data;
  const auto net = mlp(2, 2);
  const auto f = forward_of(net);
  return {net->parameters(),
          [=](int64_t k) {
            const auto z = f(rows(data.x, k)).chunk(2, 1);
            return (0.5 * ((rows(data.y, k) - z[0]) / z[1].exp()).pow(2) + z[1]).mean();
          },
          [=](int64_t k) { return nll(LogStdGaussian(f(rows(data.x, k))), rows(data.y, k)); }};
}

/// Counts under a rate made of the output, and under what is advised instead.
Model rate_of(const std::function<Tensor(const Tensor& z)>& positive,
              const std::function<std::shared_ptr<const Likelihood>(const Tensor& z)>& advised) {
  const auto x = torch::randn({kExamples, 4});
  const auto y = torch::poisson(torch::exp(x.narrow(1, 0, 1)));
  const auto net = mlp(4, 1);
  const auto f = forward_of(net);
  return {net->parameters(),
          [=](int64_t k) {
            return F::poisson_nll_loss(positive(f(rows(x, k))), rows(y, k),
                                       F::PoissonNLLLossFuncOptions().log_input(false));
          },
          [=](int64_t k) { return nll(advised(f(rows(x, k))), rows(y, k)); }};
}

Model softplus_rate() {
  return rate_of(
      [](const Tensor& z) { return torch::softplus(z); },
      [](const Tensor& z) { return std::make_shared<const Poisson>(torch::softplus(z).log()); });
}

Model exp_rate() {
  return rate_of([](const Tensor& z) { return torch::exp(z); },
                 [](const Tensor& z) { return std::make_shared<const Poisson>(z); });
}

Model mixture() {
  const auto x = 2 * torch::rand({kExamples, 1}) - 1;
  const auto branch = 2 * torch::randint(2, {kExamples, 1}) - 1;
  const auto y = branch * (0.5 + x.abs()) + 0.1 * torch::randn({kExamples, 1});
  return marked(mlp(1, 9), mark_alone, [=](const Mark& f, int64_t k) {
    const auto parts = f(rows(x, k)).chunk(3, 1);
    const auto error = (rows(y, k) - parts[1]) * torch::exp(-parts[2]);
    return -torch::logsumexp(parts[0].log_softmax(1) - 0.5 * error.pow(2) - parts[2], 1).mean();
  });
}

// ---- A policy of real actions. ----

Model clipped_policy(int64_t outputs_each, const Mark& mark,
                     const std::function<Tensor(const Tensor& z, const Tensor& a)>& log_p) {
  const auto x = torch::randn({kExamples, 4});
  auto net = mlp(4, outputs_each);
  Tensor actions, old, gain;
  {
    const torch::NoGradGuard no_grad;
    const auto z = forward_of(net)(x);
    actions = z.narrow(1, 0, 1) + torch::randn({kExamples, 1});
    old = log_p(z, actions);
    gain = -(actions - 2 * x.narrow(1, 0, 1)).abs();
    gain = (gain - gain.mean()) / gain.std();
  }
  return marked(net, mark, [=](const Mark& f, int64_t k) {
    const auto ratio = torch::exp(log_p(f(rows(x, k)), rows(actions, k)) - rows(old, k));
    const auto a = rows(gain, k);
    return -torch::min(ratio * a, torch::clamp(ratio, 0.8, 1.2) * a).mean();
  });
}

Tensor log_p_of_mean(const Tensor& z, const Tensor& a) { return -0.5 * (a - z).pow(2); }

Tensor log_p_of_both(const Tensor& z, const Tensor& a) {
  const auto parts = z.chunk(2, 1);
  return -0.5 * ((a - parts[0]) / parts[1].exp()).pow(2) - parts[1];
}

Model policy_of_mean() { return clipped_policy(1, named<Gaussian>(), log_p_of_mean); }
Model policy_of_both() { return clipped_policy(2, named<LogStdGaussian>(), log_p_of_both); }

// ---- Losses weighed by learned uncertainties. ----

Model uncertainty() {
  const auto x = torch::randn({kExamples, 8});
  const auto values = torch::sin(x.select(1, 0)) + 0.3 * torch::randn({kExamples});
  const auto kinds = x.mm(torch::randn({8, 3})).argmax(1);
  const auto net = mlp(8, 4);
  const auto f = forward_of(net);
  const auto s = torch::zeros({2}).requires_grad_();
  auto parameters = net->parameters();
  parameters.push_back(s);
  return left_alone(
      {parameters,
       [=](int64_t k) {
         const auto z = f(rows(x, k));
         const auto regression = F::mse_loss(z.select(1, 3), rows(values, k));
         const auto classification = F::cross_entropy(z.narrow(1, 0, 3), rows(kinds, k));
         return torch::exp(-s[0]) * regression + s[0] + torch::exp(-s[1]) * classification + s[1];
       },
       {}});
}

// ---- Layers. ----

/// The exact matrix, as the bag cannot be differentiated twice.
Model embedding_bag() {
  constexpr int64_t kWords = 20;
  const auto words = torch::randint(kWords, {kExamples, 5});
  const auto y = words.lt(kWords / 2).sum(1).gt(2).to(torch::kLong);
  torch::nn::EmbeddingBag bag(torch::nn::EmbeddingBagOptions(kWords, 4).mode(torch::kMean));
  torch::nn::Embedding embedding(kWords, 4);
  embedding->weight = bag->weight;
  torch::nn::Linear head(4, 2);
  const auto at_head = [=](const Tensor& h, int64_t k) {
    return F::cross_entropy(torch::linear(h, head->weight, head->bias), rows(y, k));
  };
  Model model{
      {bag->weight, head->weight, head->bias},
      [=](int64_t k) mutable { return at_head(bag->forward(rows(words, k)), k); },
      [=](int64_t k) mutable { return at_head(embedding->forward(rows(words, k)).mean(1), k); }};
  model.options.curvature(FisherOrGaussNewton());
  return model;
}

}  // namespace

std::vector<Case> cases() {
  return {
      {"DiceLeftAlone", [] { return left_alone(dice()); }},
      {"DiceMarked", dice},
      {"FocalBernoulli", focal},
      {"ClampedSigmoidWithLogits", clamped_sigmoid},
      {"EpsilonOfASigmoidWithLogits", epsilon_sigmoid},
      {"CtcLeftAlone", [] { return left_alone(ctc()); }},
      {"CtcCategoricalUnderFisher", ctc_under_fisher},
      {"EntropyBonusCategorical", entropy_bonus},
      {"SoftplusWithBetaAsOneWithout", softplus_with_beta},
      {"SoftplusSigmaByItsLogarithm", softplus_sigma},
      {"LogSigmaNamed", log_sigma},
      {"SoftplusRateByItsLogarithm", softplus_rate},
      {"ExpRateNamed", exp_rate},
      {"MixtureMarked", mixture},
      {"MixtureLeftAlone", [] { return left_alone(mixture()); }},
      {"PolicyOfAMeanGaussian", policy_of_mean},
      {"PolicyOfMeanAndSpreadLogStdGaussian", policy_of_both},
      {"UncertaintyWeightsLeftAlone", uncertainty},
      {"EmbeddingBagByAnEmbedding", embedding_bag},
  };
}

}  // namespace natgrad::testing::advice_distributions_test
