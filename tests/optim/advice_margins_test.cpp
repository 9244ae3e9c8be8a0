// Losses with kinks, and losses of embeddings, as the advice has them.

#include "optim/advice_cases.h"

namespace natgrad::testing::advice_margins_test {
namespace {

using namespace natgrad::testing::advice;

namespace F = torch::nn::functional;

// ---- Embeddings. ----

Model triplet() {
  const auto centers = torch::randn({4, 8});
  const auto kinds = torch::randint(4, {kExamples});
  const auto others = (kinds + torch::randint(1, 4, {kExamples})).remainder(4);
  const auto draw = [&](const Tensor& kind) {
    return centers.index({kind}) + 0.8 * torch::randn({kExamples, 8});
  };
  const auto a = draw(kinds), p = draw(kinds), n = draw(others);
  return marked(mlp(8, 4), mark_alone, [=](const Mark& f, int64_t k) {
    return F::triplet_margin_loss(f(rows(a, k)), f(rows(p, k)), f(rows(n, k)));
  });
}

Model cosine() {
  const auto x = torch::randn({kExamples, 8});
  const auto alike = torch::randint(2, {kExamples, 1}).to(torch::kFloat);
  const auto near = x + 0.3 * torch::randn_like(x), far = torch::randn_like(x);
  const auto other = alike * near + (1 - alike) * far;
  const auto y = 2 * alike.squeeze(1) - 1;
  return marked(mlp(8, 4), mark_alone, [=](const Mark& f, int64_t k) {
    return F::cosine_embedding_loss(f(rows(x, k)), f(rows(other, k)), rows(y, k));
  });
}

Model mmd() {
  const auto noise = torch::randn({kExamples, 4});
  const auto data = 0.5 * torch::randn({kExamples, 2}) + torch::tensor({1.f, -1.f});
  const auto kernel = [](const Tensor& a, const Tensor& b) {
    return torch::exp(-(a.unsqueeze(1) - b.unsqueeze(0)).pow(2).sum(2)).mean();
  };
  return marked(mlp(4, 2), mark_alone, [=](const Mark& f, int64_t k) {
    const auto z = f(rows(noise, k)), y = rows(data, k);
    return kernel(z, z) + kernel(y, y) - 2 * kernel(z, y);
  });
}

Model margin_ranking() {
  const auto better = torch::randn({kExamples, 6}), worse = torch::randn({kExamples, 6});
  const auto score = [](const Tensor& x) { return x.select(1, 0) + x.select(1, 1).square(); };
  const auto y = torch::sign(score(better) - score(worse));
  return marked(mlp(6, 1), mark_alone, [=](const Mark& f, int64_t k) {
    return F::margin_ranking_loss(f(rows(better, k)).squeeze(1), f(rows(worse, k)).squeeze(1),
                                  rows(y, k), F::MarginRankingLossFuncOptions().margin(1));
  });
}

// ---- Kinks. ----

Model pinball(const Mark& mark) {
  const auto x = 2 * torch::rand({kExamples, 2}) - 1;
  const auto noise = torch::empty({kExamples}).exponential_();
  const auto y = torch::sin(3 * x.select(1, 0)) + 0.5 * (1.2 + x.select(1, 1)) * noise;
  const auto quantiles = torch::tensor({0.1f, 0.5f, 0.9f});
  return marked(mlp(2, 3), mark, [=](const Mark& f, int64_t k) {
    const auto error = rows(y, k).unsqueeze(1) - f(rows(x, k));
    return torch::max(quantiles * error, (quantiles - 1) * error).mean();
  });
}

Model hinge(const Mark& mark) {
  const auto x = torch::randn({kExamples, 6});
  const auto y = torch::sign(x.select(1, 0) + x.select(1, 1) * x.select(1, 2));
  return marked(mlp(6, 1), mark, [=](const Mark& f, int64_t k) {
    return torch::clamp_min(1 - rows(y, k) * f(rows(x, k)).squeeze(1), 0).mean();
  });
}

Model log_cosh() {
  const auto x = torch::randn({kExamples, 6});
  const auto y = torch::sin(x.narrow(1, 0, 1)) + x.narrow(1, 1, 1);
  return marked(mlp(6, 1), mark_alone, [=](const Mark& f, int64_t k) {
    return (f(rows(x, k)) - rows(y, k)).cosh().log().mean();
  });
}

struct Labelled {
  Tensor x, y;
};

Labelled draw_classes() {
  const auto x = torch::randn({kExamples, 8});
  return {x, torch::tanh(x.mm(torch::randn({8, 3}))).argmax(1)};
}

Model multi_margin() {
  const auto [x, y] = draw_classes();
  return marked(mlp(8, 3), named<Categorical>(), [=, x = x, y = y](const Mark& f, int64_t k) {
    return F::multi_margin_loss(f(rows(x, k)), rows(y, k));
  });
}

Model multi_margin_as_cross_entropy() {
  const auto [x, y] = draw_classes();
  const auto net = mlp(8, 3);
  const auto f = forward_of(net);
  return {net->parameters(),
          [=, x = x, y = y](int64_t k) { return F::multi_margin_loss(f(rows(x, k)), rows(y, k)); },
          [=, x = x, y = y](int64_t k) { return F::cross_entropy(f(rows(x, k)), rows(y, k)); }};
}

Model multilabel_margin() {
  const auto [x, y] = draw_classes();
  const auto none = torch::full({kExamples, 2}, -1, torch::kLong);
  const auto targets = torch::cat({y.unsqueeze(1), none}, 1);
  const auto yes = torch::one_hot(y, 3).to(torch::kFloat);
  const auto net = mlp(8, 3);
  const auto f = forward_of(net);
  return {
      net->parameters(),
      [=, x = x](int64_t k) { return F::multilabel_margin_loss(f(rows(x, k)), rows(targets, k)); },
      [=, x = x](int64_t k) {
        return F::multilabel_soft_margin_loss(f(rows(x, k)), rows(yes, k));
      }};
}

Model soft_margin() {
  const auto x = torch::randn({kExamples, 6});
  const auto y = torch::sign(x.select(1, 0) + x.select(1, 1) * x.select(1, 2)).unsqueeze(1);
  const auto net = mlp(6, 1);
  const auto f = forward_of(net);
  return {net->parameters(),
          [=](int64_t k) { return F::soft_margin_loss(f(rows(x, k)), rows(y, k)); },
          [=](int64_t k) {
            return F::binary_cross_entropy_with_logits(f(rows(x, k)), (rows(y, k) + 1) / 2);
          }};
}

}  // namespace

std::vector<Case> cases() {
  return {
      {"TripletMarked", triplet},
      {"TripletLeftAlone", [] { return left_alone(triplet()); }},
      {"CosineMarked", cosine},
      {"CosineLeftAlone", [] { return left_alone(cosine()); }},
      {"MmdMarked", mmd},
      {"MmdLeftAlone", [] { return left_alone(mmd()); }},
      {"MarginRankingLeftAlone", [] { return left_alone(margin_ranking()); }},
      {"MarginRankingMarked", margin_ranking},
      {"PinballLeftAlone", [] { return left_alone(pinball(mark_alone)); }},
      {"PinballMarked", [] { return pinball(mark_alone); }},
      {"PinballGaussian", [] { return pinball(named<Gaussian>()); }},
      {"HingeMarked", [] { return hinge(mark_alone); }},
      {"HingeGaussian", [] { return hinge(named<Gaussian>()); }},
      {"HingeBernoulli", [] { return hinge(named<Bernoulli>()); }},
      {"LogCoshMarked", log_cosh},
      {"MultiMarginCategorical", multi_margin},
      {"MultiMarginAsCrossEntropy", multi_margin_as_cross_entropy},
      {"MultilabelMarginAsSoftMargin", multilabel_margin},
      {"SoftMarginAsCrossEntropy", soft_margin},
  };
}

}  // namespace natgrad::testing::advice_margins_test
