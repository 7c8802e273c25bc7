import psycopg
import redis


def test_redis_is_real(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        assert client.info("server")["redis_version"]


def test_postgres_is_real(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        assert connection.info.server_version >= 120000
